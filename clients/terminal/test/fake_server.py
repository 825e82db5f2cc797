"""A server of the web contract in memory, for the unit tests: accounts, friends, one-to-one messages, one group call, sync
by a log per person, rings. Faults on demand: refuse[path] = [codes...], lose[path] = answers that are done but not sent."""
import base64
import hashlib
import json
import socketserver
import struct
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

CLASSES = {1: 1, 3: 2, 5: 5, 6: 3, 8: 5, 10: 1, 12: 2, 15: 6, 101: 5, 104: 5, 105: 5, 107: 5, 111: 1, 112: 5, 113: 3}


class Failure(Exception):
    def __init__(self, code, **more):
        super().__init__(code)
        self.base = {"code": code, "class": CLASSES.get(code, 5), **more}


class FakeServer:
    def __init__(self):
        self.lock = threading.Condition()
        self.people, self.tickets, self.refreshes, self.groups = {}, {}, {}, {}
        self.requests, self.refuse, self.lose, self.sockets = [], {}, {}, []
        self.page = 3        # Entries of one sync answer.
        self.serial = 0
        self.no_socket = False
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                path = self.path.removeprefix("/api/v1/")
                answer = fake.answer(path, body)
                if fake.lose.get(path):
                    fake.lose[path] -= 1
                    self.close_connection = True
                    return
                data = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                if fake.no_socket or self.path != "/ws":
                    self.send_error(404)
                    return
                key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                self.send_response(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
                self.end_headers()
                fake.serve_socket(self)
                self.close_connection = True

        class Server(socketserver.ThreadingMixIn, HTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        for connection, _ in self.sockets:
            connection.connection.close()

    # ---- WebSocket

    def serve_socket(self, connection):
        mine = (connection, threading.Lock())
        with self.lock:
            self.sockets.append(mine)
        while True:
            head = connection.rfile.read(2)
            if len(head) < 2 or head[0] & 15 == 8:
                return
            size = head[1] & 127
            if size == 126:
                size = struct.unpack(">H", connection.rfile.read(2))[0]
            assert head[1] & 128, "a client must mask"
            mask = connection.rfile.read(4)
            data = bytes(b ^ mask[i & 3] for i, b in enumerate(connection.rfile.read(size)))
            if head[0] & 15 == 1:
                frame = json.loads(data)
                answer = self.answer(frame["path"], frame["body"])
                connection.hongyan_uin = self.tickets.get(frame["body"]["base"].get("ticket"))
                self.to_socket(mine, {"id": frame["id"], "body": answer})

    def to_socket(self, mine, value, pieces=1):
        connection, lock = mine
        data = json.dumps(value).encode()
        with lock:
            connection.wfile.write(b"\x89\x02hi")  # A ping before each text.
            for i in range(pieces):
                part = data[len(data) * i // pieces:len(data) * (i + 1) // pieces]
                head = bytes([(0x80 if i == pieces - 1 else 0) | (1 if i == 0 else 0)])
                head += bytes([len(part)]) if len(part) < 126 else bytes([126]) + struct.pack(">H", len(part))
                connection.wfile.write(head + part)

    def ring(self, uin):
        for mine in list(self.sockets):
            if getattr(mine[0], "hongyan_uin", None) == uin:
                try:
                    self.to_socket(mine, {"ring": {"version": "1", "key": 3}}, pieces=3)
                except OSError:
                    self.sockets.remove(mine)

    # ---- commands

    def answer(self, path, body):
        with self.lock:
            self.requests.append((path, body))
            try:
                if self.refuse.get(path):
                    code = self.refuse[path].pop(0)
                    raise Failure(**code) if isinstance(code, dict) else Failure(code)
                result = getattr(self, "do_" + path.replace("/", "_"))(body)
                return {"base": {"serverTimeMs": "1700000000000"}, **result}
            except Failure as failure:
                return {"base": failure.base}

    def me(self, body):
        uin = self.tickets.get(body["base"].get("ticket"))
        if uin is None:
            raise Failure(6)
        return self.people[uin]

    def open(self, person):
        self.serial += 1
        ticket = base64.b64encode(b"ticket%d" % self.serial).decode()
        refresh = base64.b64encode(b"refresh%d" % self.serial).decode()
        self.tickets[ticket] = self.refreshes[refresh] = person["uin"]
        return {"uin": person["uin"], "ticket": ticket, "refresh": refresh, "account": {"profile": person["profile"]}}

    def do_register(self, body):
        if any(p["name"] == body["userName"] for p in self.people.values()):
            raise Failure(101)
        uin = str(10001 + len(self.people))
        profile = {"uin": uin, "userName": body["userName"], "nickname": body["nickname"], "type": 1}
        self.people[uin] = {"uin": uin, "name": body["userName"], "password": body["password"], "profile": profile,
                            "log": [], "contacts": {}, "sent": {}}
        return self.open(self.people[uin])

    def do_login(self, body):
        if "refresh" in body:
            if body["refresh"] not in self.refreshes:
                raise Failure(6)
            return self.open(self.people[self.refreshes[body["refresh"]]])
        for person in self.people.values():
            if (person["name"], person["password"]) == (body["password"]["userName"], body["password"]["password"]):
                return self.open(person)
        raise Failure(104)

    def do_logout(self, body):
        self.me(body)
        del self.tickets[body["base"]["ticket"]]
        return {}

    def do_identify(self, body):
        self.me(body)
        return {}

    def do_user_find(self, body):
        for person in self.people.values():
            if body.get("userName") == person["name"] or body.get("uin") == person["uin"]:
                return {"profile": person["profile"], "contact": self.me(body)["contacts"].get(person["uin"], {})}
        raise Failure(8)

    def push(self, person, entry):
        person["log"].append(entry)
        self.ring(person["uin"])

    def edge(self, person, other, state):
        contact = {"uin": other["uin"], "state": state, "profile": other["profile"], "version": str(len(person["log"]) + 1)}
        person["contacts"][other["uin"]] = contact
        self.push(person, {"contact": contact})
        return {"contact": contact}

    def do_friend_add(self, body):
        me, other = self.me(body), self.people[str(body["uin"])]
        self.edge(other, me, 3)
        return self.edge(me, other, 2)

    def do_friend_accept(self, body):
        me, other = self.me(body), self.people[str(body["uin"])]
        if me["contacts"].get(other["uin"], {}).get("state") != 3:
            raise Failure(112)
        self.edge(other, me, 1)
        return self.edge(me, other, 1)

    def befriend(self, a, b):
        with self.lock:
            self.edge(self.people[a], self.people[b], 1)
            self.edge(self.people[b], self.people[a], 1)

    def do_send(self, body):
        me, sent = self.me(body), []
        for message in body["messages"]:
            other = self.people.get(message["conversation"]["id"])
            if other is None or me["contacts"].get(other["uin"], {}).get("state") != 1:
                sent.append({"clientMsgId": message["clientMsgId"], "code": 105})
                return {"base": {"code": 105, "class": 5}, "sent": sent}
            known = me["sent"].get(message["clientMsgId"])
            if known and known != message["content"]:
                raise Failure(107)
            key = base64.b64encode(hashlib.sha256((me["uin"] + message["clientMsgId"]).encode()).digest()[:16]).decode()
            if not known:
                me["sent"][message["clientMsgId"]] = message["content"]
                for person, peer in ((me, other), (other, me)):
                    row = {**message, "key": key, "sender": me["uin"], "conversation": {"type": 1, "id": peer["uin"]},
                           "position": str(len(person["log"]) + 1), "serverTimeMs": "1700000000000"}
                    self.push(person, {"message": row})
            sent.append({"clientMsgId": message["clientMsgId"], "key": key, "serverTimeMs": "1700000000000"})
        return {"sent": sent}

    def do_sync(self, body):
        me = self.me(body)
        at = int(base64.b64decode(body.get("snapshot", "")) or b"0")
        entries = me["log"][at:at + self.page]
        at += len(entries)
        return {"entries": entries, "snapshot": base64.b64encode(str(at).encode()).decode(), "more": at < len(me["log"])}

    def do_poll(self, body):
        me = self.me(body)
        at = int(base64.b64decode(body.get("snapshot", "")) or b"0")
        self.lock.wait_for(lambda: len(me["log"]) > at, timeout=0.2)
        return {"rings": [{"version": "1"}]} if len(me["log"]) > at else {}

    def do_read(self, body):
        me = self.me(body)
        state = {"conversation": body["conversation"], "lastPosition": body["position"], "readPosition": body["position"],
                 "version": str(len(me["log"]) + 1)}
        self.push(me, {"state": state})
        return {"state": state}

    def do_history(self, body):
        before = int(body.get("beforePosition", 0)) or 1 << 60
        rows = [e["message"] for e in self.me(body)["log"] if "message" in e and e["message"]["conversation"] == body["conversation"]
                and int(e["message"]["position"]) < before]
        return {"messages": rows[::-1][:body["limit"]], "more": len(rows) > body["limit"]}

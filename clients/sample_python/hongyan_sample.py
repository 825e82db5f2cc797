#!/usr/bin/env python3
"""A small Hongyan client: logs in, sends and syncs, over the short link (one HTTP POST a command) or the long link (one
TCP connection in mars' framing). Written from docs/protocol.md alone, with the standard library and python3-protobuf.

    protoc -I src --python_out=GEN src/rpc/options.proto src/api/client/*.proto
    PYTHONPATH=GEN python3 hongyan_sample.py long 127.0.0.1:8081 --register anna
    PYTHONPATH=GEN python3 hongyan_sample.py short 127.0.0.1:8080 --login anna

Commands typed afterwards: `send UIN TEXT`, `add UIN`, `accept UIN`, `sync`, `quit`."""
import argparse
import getpass
import http.client
import os
import queue
import socket
import struct
import sys
import threading
import time
import uuid

from api.client import base_pb2, chat_pb2, friend_pb2, login_pb2, message_pb2, sync_pb2

# The table of commands, as far as this client needs it: path -> (number, request, response).
COMMANDS = {
    "register": (101, login_pb2.RegisterRequest, login_pb2.LoginResponse),
    "login": (102, login_pb2.LoginRequest, login_pb2.LoginResponse),
    "logout": (103, login_pb2.LogoutRequest, login_pb2.LogoutResponse),
    "identify": (110, sync_pb2.IdentifyRequest, sync_pb2.IdentifyResponse),
    "friend/add": (201, friend_pb2.AddFriendRequest, friend_pb2.AddFriendResponse),
    "friend/accept": (202, friend_pb2.AcceptFriendRequest, friend_pb2.AcceptFriendResponse),
    "send": (301, chat_pb2.SendRequest, chat_pb2.SendResponse),
    "read": (302, chat_pb2.MarkReadRequest, chat_pb2.MarkReadResponse),
    "history": (304, chat_pb2.HistoryRequest, chat_pb2.HistoryResponse),
    "sync": (401, sync_pb2.SyncRequest, sync_pb2.SyncResponse),
    "poll": (402, sync_pb2.PollRequest, sync_pb2.PollResponse),
}
HEAD = struct.Struct(">5I")  # head_length, client_version, cmdid, seq, body_length
SEQ_PUSH, SEQ_IDENTIFY, SEQ_NOOP = 0, 0xFFFFFFFE, 0xFFFFFFFF
CMD_NOOP, CMD_IDENTIFY, CMD_PUSH = 6, 237, 10001
FRAME_BYTES_MAX = 1 << 20
CLIENT_VERSION = 200
TRIES = 5


class Refused(Exception):
    """The server understood and said no."""

    def __init__(self, code, error_class, debug=""):
        super().__init__(f"code {code} (class {error_class}): {debug}")
        self.code, self.error_class = code, error_class


def envelope(message):
    return b"\x01\x00" + message.SerializeToString()


def open_envelope(body, message_type):
    if body[:2] != b"\x01\x00":
        raise ValueError("not a body this client knows")
    return message_type.FromString(body[2:])


class ShortLink:
    """One POST a command; no rings, so ask with `poll`."""

    def __init__(self, address):
        self.address = address

    def ask(self, path, request, timeout=20):
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        try:
            connection.request("POST", "/s/" + path, envelope(request),
                               {"Content-Type": "application/octet-stream", "Connection": "close"})
            answer = connection.getresponse()
            body = answer.read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()
        if answer.status != 200:
            raise OSError(f"HTTP {answer.status}")
        return open_envelope(body, COMMANDS[path][2])

    def close(self):
        pass


class LongLink:
    """One connection; answers come in any order and are matched by seq, rings come by themselves."""

    def __init__(self, address, on_ring, heartbeat_s=210, pin=""):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.sealed = None
        if pin:
            import hongyan_seal  # Needs libsodium; nothing else here does.
            self.sealed = hongyan_seal.agree(self.socket, pin, CLIENT_VERSION)
        self.socket.settimeout(None)
        self.on_ring = on_ring
        self.lock, self.waiting, self.next_seq, self.closed = threading.Lock(), {}, 1, threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._beat, args=(heartbeat_s,), daemon=True).start()

    def ask(self, path, request, timeout=20):
        answers = queue.Queue(1)
        with self.lock:
            number, seq = (CMD_IDENTIFY, SEQ_IDENTIFY) if path == "identify" else (COMMANDS[path][0], self.next_seq)
            self.next_seq += seq == self.next_seq
            self.waiting[seq] = answers
        self._write(number, seq, envelope(request))
        try:
            body = answers.get(timeout=timeout)
        except queue.Empty:
            raise OSError("no answer") from None
        finally:
            self.waiting.pop(seq, None)
        if body is None:
            raise OSError("the link has ended")
        return open_envelope(body, COMMANDS[path][2])

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def _write(self, number, seq, body):
        with self.lock:
            if self.sealed and number != CMD_NOOP:
                body = self.sealed.seal(number, seq, body)
            self.socket.sendall(HEAD.pack(HEAD.size, CLIENT_VERSION, number, seq, len(body)) + body)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(min(65536, count - len(data)))
            if not piece:
                raise OSError("the end")
            data += piece
        return data

    def _read(self):
        try:
            while True:
                head_length, version, number, seq, body_length = HEAD.unpack(self._exactly(HEAD.size))
                if version != CLIENT_VERSION or head_length < HEAD.size or head_length + body_length > FRAME_BYTES_MAX:
                    raise OSError("a broken frame")
                body = self._exactly(head_length - HEAD.size + body_length)[head_length - HEAD.size:]
                if self.sealed and number != CMD_NOOP:
                    body = self.sealed.open(number, seq, body)
                if seq == SEQ_PUSH:
                    if number == CMD_PUSH:
                        self.on_ring(open_envelope(body, sync_pb2.Ring))
                elif seq in self.waiting:
                    self.waiting[seq].put(body)
        except (OSError, ValueError):
            self.closed.set()
            for answers in list(self.waiting.values()):
                answers.put(None)

    def _beat(self, interval_s):
        while not self.closed.wait(interval_s):
            try:
                self._write(CMD_NOOP, SEQ_NOOP, b"")
            except OSError:
                return


class Client:
    """One device of one account, on either link."""

    def __init__(self, link):
        self.link, self.device_id = link, os.urandom(16)
        self.ticket, self.refresh, self.uin, self.snapshot = b"", b"", 0, b""
        self.seen, self.messages, self.contacts = set(), [], {}

    def ask(self, path, **fields):
        """Sends until answered: every command may be sent twice."""
        request = COMMANDS[path][1](**fields)
        base = request.base
        base.device_id, base.feature_level, base.client_version, base.locale = self.device_id, 2, CLIENT_VERSION, "en"
        for attempt in range(TRIES):
            base.ticket = self.ticket
            answer = self.link.ask(path, request)
            said = answer.base
            self.ticket = said.new_ticket or self.ticket
            if said.code == 0:
                return answer
            if getattr(said, "class") not in (1, 2) or attempt + 1 == TRIES:
                raise Refused(said.code, getattr(said, "class"), said.debug)
            time.sleep(said.retry_after_ms / 1000)

    def _opened(self, answer):
        self.uin, self.ticket, self.refresh = answer.uin, answer.ticket, answer.refresh
        if isinstance(self.link, LongLink):
            self.identify()
        return answer

    def _device(self):
        return login_pb2.DeviceInfo(id=self.device_id, platform=5, model="sample", locale="en")

    def register(self, user_name, password, nickname):
        return self._opened(self.ask("register", user_name=user_name, password=password, nickname=nickname, device=self._device()))

    def login(self, user_name, password):
        return self._opened(self.ask("login", password={"user_name": user_name, "password": password}, device=self._device()))

    def identify(self):
        return self.ask("identify")

    def send(self, uin, text, client_msg_id=None):
        message = message_pb2.Message(
            conversation=message_pb2.Conversation(type=1, id=uin), client_msg_id=client_msg_id or str(uuid.uuid4()),
            client_time_ms=int(time.time() * 1000), kind=1, content=text.encode(), digest=text[:60])
        sent = self.ask("send", messages=[message]).sent[0]
        if sent.code != 0:
            raise Refused(sent.code, 5)
        return sent

    def sync(self):
        """Everything new since the last time; asking with the new snapshot is the acknowledgement."""
        news, marked = [], []
        while True:
            answer = self.ask("sync", snapshot=self.snapshot)
            for entry in answer.entries:
                what = entry.WhichOneof("what")
                if what == "message" and entry.message.key not in self.seen:
                    self.seen.add(entry.message.key)
                    self.messages.append(entry.message)
                    news.append(entry.message)
                elif what == "contact":
                    self.contacts[entry.contact.uin] = entry.contact
                elif what == "marker":
                    marked.append(entry.marker)
            self.snapshot = answer.snapshot
            if not answer.more:
                return news + [message for marker in marked for message in self.fill(marker)]

    def fill(self, marker):
        """A marker says "new up to n" of a muted or large group: its messages come by history, page by page down to what
        is here already."""
        rows, before, more = [], marker.up_to + 1, True
        while more:
            page = self.ask("history", conversation=marker.conversation, before_position=before, limit=100)
            rows += (fresh := [message for message in page.messages if message.key not in self.seen])
            more = page.more and len(fresh) == len(page.messages)
            before = page.messages[-1].position if page.messages else 0
        self.seen.update(message.key for message in rows)
        self.messages += rows[::-1]
        return rows[::-1]

    def poll(self, wait_ms):
        """Waits on the short link until something is new."""
        return self.ask("poll", wait_ms=wait_ms, snapshot=self.snapshot).rings


def show(client, messages):
    for message in messages:
        who = "me" if message.sender == client.uin else str(message.sender)
        text = message.content.decode(errors="replace") if message.kind == 1 else message.digest
        print(f"{who} -> {message.conversation.id}: {text}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("link", choices=["short", "long"])
    parser.add_argument("address")
    parser.add_argument("--register", metavar="NAME")
    parser.add_argument("--login", metavar="NAME")
    parser.add_argument("--seal", metavar="KEY", default="", help="the sealed long link's key, as GET /seal-key tells it")
    arguments = parser.parse_args()
    rung = threading.Event()
    link = ShortLink(arguments.address) if arguments.link == "short" else LongLink(arguments.address, lambda ring: rung.set(), pin=arguments.seal)
    client = Client(link)
    password = os.environ.get("HONGYAN_SAMPLE_PASSWORD") or getpass.getpass()
    name = arguments.register or arguments.login
    client.register(name, password, name) if arguments.register else client.login(name, password)
    print("I am", client.uin, flush=True)
    show(client, client.sync())
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        try:
            if word == "quit":
                break
            if word == "send":
                client.send(int(rest.split(" ")[0]), rest.partition(" ")[2])
            elif word == "add":
                client.ask("friend/add", uin=int(rest), greeting="hello")
            elif word == "accept":
                client.ask("friend/accept", uin=int(rest))
        except (Refused, ValueError) as error:
            print(error, flush=True)
        show(client, client.sync())
    link.close()


if __name__ == "__main__":
    main()

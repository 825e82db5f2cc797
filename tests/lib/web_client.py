"""A small client of the web protocol (JSON over HTTP) and a server under test, standard library only."""
import base64
import http.client
import json
import os
import pathlib
import signal
import ssl
import subprocess
import tempfile
import time
import uuid

import ports

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = ROOT / "build/bin/hongyan-server"
OVERLOADED = 3


class Refused(Exception):
    """The server answered with an error code."""

    def __init__(self, base):
        super().__init__(f"code {base.get('code')}: {base.get('debug', '')}")
        self.code = base.get("code", 0)
        self.error_class = base.get("class", 0)


class Unreached(Exception):
    """No answer: the request may or may not have been done."""


class Server:
    """One server process on its own data directory; kill() is kill -9."""

    def __init__(self, data=None, options=()):
        self.data = pathlib.Path(data or tempfile.mkdtemp(prefix="hongyan-test-"))
        self.options = list(options)
        self.process = None
        # After a restart the server is where it was; no outgoing connection can take these meanwhile.
        self.port, long_link, server_api = ports.free(3)
        self.other_ports = {"HONGYAN_LONG_LINK_PORT": str(long_link), "HONGYAN_SERVER_API_PORT": str(server_api)}
        self.output = []

    def start(self, wait_s=30):
        self.process = subprocess.Popen(
            [str(SERVER), "--data", str(self.data), "--port", str(self.port), *self.options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
            env={**os.environ, **self.other_ports})
        limit = time.monotonic() + wait_s
        for line in self.process.stdout:
            self.output.append(line.rstrip("\n"))
            if line.startswith("ready "):
                self.ready = json.loads(line[len("ready "):])
                if "sealed_link" in self.ready:
                    self.other_ports["HONGYAN_LONG_LINK_SEALED_PORT"] = self.ready["sealed_link"].rpartition(":")[2]
                return self
            if time.monotonic() > limit:
                break
        raise AssertionError("the server did not get ready:\n" + "\n".join(self.output))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.output += self.process.stdout.read().splitlines()
        self.process.stdout.close()

    def stop(self, wait_s=20):
        self.process.send_signal(signal.SIGTERM)
        rest = self.process.communicate(timeout=wait_s)[0]
        self.output += rest.splitlines()
        return self.process.returncode

    def __enter__(self):
        return self.start()

    def metrics(self):
        """Counter -> value."""
        if self.ready["web"].startswith("https:"):
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # The certificate is the server's own; pinning has tests of its own.
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return {line.split()[0]: float(line.split()[1]) for line in lines if line and not line.startswith("#")}

    def __exit__(self, failure, *_):
        if self.process and self.process.poll() is None:
            try:
                if failure is None:
                    foreign = [v for k, v in self.metrics().items() if k.startswith("hongyan_entry_foreign_codes")]
                    assert foreign == [0], f"answers with codes outside the table: {foreign}"
            finally:
                self.kill()


class Client:
    """One device of one account."""

    def __init__(self, server, user_name=None, password=None, host="127.0.0.1"):
        self.server, self.host = server, host
        self.user_name, self.password = user_name, password
        self.device_id = base64.b64encode(os.urandom(16)).decode()
        self.ticket, self.refresh, self.snapshot, self.uin = "", "", "", None
        self.messages, self.contacts, self.conversations, self.groups, self.resets = [], {}, {}, [], 0
        self.entries = []
        self.connection = None
        self.feature_level = 2

    def call(self, path, body=None, timeout=15, patience_s=30):
        body = dict(body or {})
        body["base"] = {"ticket": self.ticket, "deviceId": self.device_id, "featureLevel": self.feature_level, **body.get("base", {})}
        reused = self.connection is not None
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.host, self.server.port, timeout=timeout)
            self.connection.request("POST", "/api/v1/" + path, json.dumps(body), {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            if reused:  # The server closed it between two requests; every command may be sent twice.
                return self.call(path, body, timeout, patience_s)
            raise Unreached(str(error)) from error
        if answer.status != 200:
            raise AssertionError(f"HTTP {answer.status} for {path}: {data[:200]!r}")
        result = json.loads(data)
        base = result.get("base", {})
        if base.get("newTicket"):
            self.ticket = base["newTicket"]
        if base.get("code", 0) == OVERLOADED and patience_s > 0:  # Nothing was done: later, as it says.
            wait = base.get("retryAfterMs", 1000) / 1000
            time.sleep(wait)
            return self.call(path, body, timeout, patience_s - wait)
        if base.get("code", 0) != 0:
            raise Refused(base)
        return result

    def _opened(self, answer):
        self.ticket, self.refresh, self.uin = answer["ticket"], answer["refresh"], answer["uin"]
        return self

    def device(self):
        return {"id": self.device_id, "platform": 6, "model": "test"}

    def register(self, nickname=None):
        return self._opened(self.call("register", {
            "userName": self.user_name, "password": self.password, "nickname": nickname or self.user_name,
            "device": self.device()}))

    def login(self):
        self.ticket = ""
        return self._opened(self.call("login", {
            "password": {"userName": self.user_name, "password": self.password}, "device": self.device()}))

    def message(self, uin, text, client_msg_id=None, **fields):
        kind = 2 if int(uin) >> 42 & 1 else 1
        return {"conversation": {"type": kind, "id": str(uin)}, "clientMsgId": client_msg_id or str(uuid.uuid4()),
                "kind": 1, "content": base64.b64encode(text.encode()).decode(), "digest": text[:60], **fields}

    def send(self, uin, text, client_msg_id=None, **fields):
        sent = self.call("send", {"messages": [self.message(uin, text, client_msg_id, **fields)]})["sent"][0]
        if sent.get("code", 0) != 0:
            raise Refused(sent)
        return sent

    def send_until_acked(self, uin, text, limit_s=60):
        """As a real client does: the same id again until the server has answered."""
        client_msg_id, limit = str(uuid.uuid4()), time.monotonic() + limit_s
        while True:
            try:
                return self.send(uin, text, client_msg_id)
            except Unreached:
                assert time.monotonic() < limit, "never answered"
            except Refused as refused:
                assert refused.error_class in (1, 2) and time.monotonic() < limit, refused

    def sync(self):
        """Everything that is new, applied; returns the new entries."""
        news = []
        while True:
            answer = self.call("sync", {"snapshot": self.snapshot})
            if answer.get("reset"):
                self.resets += 1
            for entry in answer.get("entries", []):
                self._apply(entry)
                news.append(entry)
            self.snapshot = answer["snapshot"]
            if not answer.get("more"):
                return news

    def _apply(self, entry):
        self.entries.append(entry)
        if "message" in entry:
            if all(m["key"] != entry["message"]["key"] for m in self.messages) or not self.resets:
                self.messages.append(entry["message"])
        elif "group" in entry:
            self.groups.append(entry["group"])
        elif "contact" in entry:
            self.contacts[entry["contact"]["uin"]] = entry["contact"]
        elif "state" in entry:
            conversation = entry["state"]["conversation"]
            self.conversations[(conversation["type"], conversation["id"])] = entry["state"]

    def texts(self, uin=None):
        return [base64.b64decode(m.get("content", "")).decode() for m in self.messages
                if m["kind"] == 1 and (uin is None or m["conversation"]["id"] == str(uin))]


def befriend(a, b):
    a.call("friend/add", {"uin": b.uin, "greeting": "hi"})
    b.call("friend/accept", {"uin": a.uin})


def new_password():
    return base64.b64encode(os.urandom(9)).decode()


def expect_code(code, function, *arguments, **named):
    try:
        function(*arguments, **named)
    except Refused as refused:
        assert refused.code == code, f"expected code {code}, got {refused}"
        return
    raise AssertionError(f"expected code {code}, but it passed")

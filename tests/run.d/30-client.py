#!/usr/bin/env python3
# timeout: 300
"""The terminal client: its unit tests, then every verb, its errors and its JSON against the real server, a send whose
process is killed, the examples of docs/client.md, and the interactive client through a pseudo-terminal."""
import contextlib
import http.client
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from web_client import ROOT, Server, new_password  # noqa: E402

COMMAND = str(ROOT / "hongyan")
DEADLINE = 30.0
CONVERSATION = {"type", "id", "name"}
MESSAGE = {"key", "conversation", "sender", "sender_name", "mine", "position", "server_time_ms", "client_msg_id", "kind",
           "text", "digest", "state", "revision"}
CONTACT = {"uin", "user_name", "nickname", "remark", "state", "blocked", "greeting", "since_ms"}
PROFILE = {"uin", "user_name", "nickname", "avatar_color", "signature", "type"}
GROUP = {"id", "name", "owner", "member_count", "members"}
CHAT = CONVERSATION | {"unread", "last_position", "read_position", "last_time_ms", "last_digest"}
WHO = {"uin", "user_name", "nickname", "server", "device_id", "logged_in"}


def environment(folder, **more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HONGYAN_", "HY_")) and k != "NO_COLOR"}
    return {**kept, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **more}


class Profile:
    """One profile directory, used by way of the command."""

    def __init__(self, folder, server, name):
        self.folder, self.server, self.name, self.password = folder, server, name, new_password()
        self.directory = folder / name
        self.url = server.ready["web"]

    def start(self, *words, text=None, url=None, **more):
        command = [COMMAND, "client", *words, "--profile", str(self.directory), "--server", url or self.url]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, cwd=self.folder,
                              env=environment(self.folder, **{"HONGYAN_PASSWORD": self.password, **more}))

    def ask(self, *words, keys=None, **named):
        """The one JSON object of a verb that must succeed."""
        done = self.start(*words, "--json", **named)
        assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        lines = done.stdout.splitlines()
        assert len(lines) == 1, done.stdout
        value = json.loads(lines[0])
        assert keys is None or set(value) == keys, (words, set(value) ^ keys)
        return value

    def refused(self, exit_code, name, *words, **named):
        done = self.start(*words, "--json", **named)
        assert done.returncode == exit_code, (words, done.returncode, done.stdout, done.stderr)
        error = json.loads(done.stdout)["error"]
        assert {"code", "name", "class", "text"} <= set(error) and error["name"] == name, error
        plain = self.start(*words, **named)
        assert plain.returncode == exit_code and plain.stderr.startswith("hongyan: ") and not plain.stdout, (words, plain)

    def texts(self):
        return [m["text"] for m in self.ask("sync")["messages"] if m["kind"] == 1]


def unit_tests():
    for file in sorted((ROOT / "clients/terminal/test").glob("*_test.py")):
        done = subprocess.run([sys.executable, "-W", "ignore", file], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        print(file.name, done.stderr.strip().splitlines()[-3])


def accounts(alice, bob, carol):
    alice.refused(4, "not_logged_in", "contacts")
    who = alice.ask("register", "alice", "--nickname", "Alice", keys=WHO)
    assert who["user_name"] == "alice" and who["nickname"] == "Alice" and who["logged_in"]
    bob.refused(1, "name_taken", "register", "alice")
    bob.refused(1, "bad_name", "register", "7up")
    bob.ask("register", "bob", "--nickname", "Bob 鸿雁")
    password_file = carol.folder / "carol.pw"
    password_file.write_text(carol.password + "\n")
    carol.ask("register", "carol", "--password-file", str(password_file), HONGYAN_PASSWORD="")
    alice.refused(2, "logged_in", "login", "alice")
    alice.refused(2, "usage", "fly")
    alice.refused(2, "usage", "send")
    assert alice.ask("whoami") == who
    assert alice.password not in (alice.directory / "session.json").read_text()
    assert set(alice.ask("find", "bob", keys={"profile", "contact"})["profile"]) == PROFILE
    alice.refused(1, "not_found", "find", "nobody")
    changed = alice.ask("profile", "--nickname", "Ali", "--color", "#0a0b0c", "--signature", "鸿雁", keys={"profile"})
    assert changed["profile"]["avatar_color"] == "#0a0b0c" and alice.ask("profile") == changed
    alice.refused(1, "invalid", "profile", "--signature", "to\x1b[2Jyou")
    alice.refused(2, "usage", "profile", "--color", "red")


def friends(alice, bob, carol):
    alice.refused(1, "not_friend", "send", "bob", "hello?")
    assert not alice.ask("sync")["waiting"], "what was refused for good does not wait"
    contact = alice.ask("add", "bob", "it", "is", "me", keys={"contact"})["contact"]
    assert set(contact) == CONTACT and contact["state"] == "asked"
    bob.refused(1, "no_request", "accept", "carol")
    asked = bob.ask("contacts", keys={"contacts"})["contacts"]
    assert [(c["state"], c["greeting"]) for c in asked] == [("asks_me", "it is me")]
    assert bob.ask("accept", "alice")["contact"]["state"] == "friend"
    bob.ask("add", "carol")
    refused = carol.ask("remove", "bob")["contact"]
    assert refused["state"] == "none", refused
    carol.ask("add", "alice")
    alice.ask("accept", "carol")
    assert bob.ask("remark", "alice", "Old friend")["contact"]["remark"] == "Old friend"
    assert bob.ask("send", "old friend", "by remark")["sent"]["conversation"]["name"] == "Old friend"


def messages(alice, bob):
    sent = alice.ask("send", "Bob 鸿雁", "by nickname", keys={"sent"})["sent"]
    assert set(sent) == {"client_msg_id", "conversation", "key", "server_time_ms", "state"} and sent["state"] == "sent"
    alice.ask("send", "bob", text="two\nlines\n")
    alice.ask("send", bob.ask("whoami")["uin"], "-", text="-- by number \x1b]0;evil\x07‮")
    got = bob.ask("sync", keys={"messages", "updates", "contacts", "groups", "chats", "reset", "waiting", "unread"})
    assert [m["text"] for m in got["messages"]] == ["by remark", "by nickname", "two\nlines", "-- by number \x1b]0;evil\x07‮"]
    assert all(set(m) == MESSAGE for m in got["messages"]) and got["unread"] == 3 and not got["reset"]
    assert bob.ask("sync")["messages"] == []
    page = bob.ask("history", "alice", "--limit", "2", keys={"conversation", "more", "messages"})
    assert page["more"] and [m["text"] for m in page["messages"]][0] == "two\nlines"
    older = bob.ask("history", "alice", "--before", str(page["messages"][0]["position"]))["messages"]
    assert [m["text"] for m in older if m["kind"] == 1] == ["by remark", "by nickname"]
    plain = bob.start("history", "alice").stdout + bob.start("history", "alice", "--local").stdout
    assert plain.count("by number") == 2 and "\x1b" not in plain and "\u202e" not in plain and "\x07" not in plain
    assert set(bob.ask("read", "alice", keys={"chat"})["chat"]) == CHAT
    assert [c["unread"] for c in bob.ask("chats", keys={"chats"})["chats"]] == [0]
    alice.refused(2, "usage", "send", "bob", text="")
    alice.refused(2, "too_large", "send", "bob", text="鸿" * 11000)
    alice.ask("block", "bob")
    bob.refused(1, "blocked", "send", "alice", "hello?")
    alice.ask("unblock", "bob")
    bob.ask("send", "alice", "friends again")
    assert "friends again" in alice.texts()


def groups(alice, bob, carol):
    group = alice.ask("group", "create", "Book club", "bob", "carol", keys={"group"})["group"]
    assert set(group) == GROUP and group["member_count"] == 3
    bob.refused(1, "not_friend", "group", "create", "No", "carol")
    assert {m["user_name"] for m in alice.ask("group", "members", "book club")["group"]["members"]} == {"alice", "bob", "carol"}
    alice.ask("group", "send", "Book club", "hello all")
    wait_for(lambda: "hello all" in [m["text"] for m in bob.ask("history", "Book club")["messages"]])
    bob.ask("send", "Book club", "send finds groups, too")
    alice.ask("group", "rename", group["id"], "Readers")
    assert alice.ask("group", "members", "Readers")["group"]["name"] == "Readers"
    bob.refused(1, "forbidden", "group", "remove", group["id"], "carol")
    alice.ask("group", "remove", "Readers", "carol")
    carol.refused(1, "not_member", "group", "send", group["id"], "still here?")
    assert alice.ask("group", "add", "Readers", "carol")["group"]["member_count"] == 3
    assert bob.ask("group", "leave", group["id"], keys={"left"}) == {"left": {"id": group["id"]}}
    shown = alice.start("history", "Readers").stdout
    for words in ("created the group", "renamed the group to “Readers”", "Ali removed carol", "Ali added carol", "left the group"):
        assert words in shown, shown


def wait_for(true, seconds=DEADLINE):
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "waited too long"


def killed_sender(server, alice, bob):
    """A proxy passes the request on and swallows the answer; the sender is killed; the next invocation sends again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [COMMAND, "client", "send", "bob", "exactly once", "--profile", str(alice.directory), "--timeout", "60",
                   "--server", f"http://127.0.0.1:{listener.getsockname()[1]}"]
        sender = subprocess.Popen(command, env=environment(alice.folder), stderr=subprocess.DEVNULL)
        listener.settimeout(DEADLINE)
        connection = listener.accept()[0]
        with connection, connection.makefile("rb") as stream:
            path = stream.readline().split()[1].decode()
            size = 0
            while (line := stream.readline().strip()):
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            passed = http.client.HTTPConnection("127.0.0.1", server.port)
            passed.request("POST", path, stream.read(size), {"Content-Type": "application/json"})
            assert path.endswith("/send") and json.loads(passed.getresponse().read())["sent"][0]["key"]
            passed.close()
            sender.send_signal(signal.SIGKILL)
            sender.wait()
    assert "exactly once" in bob.texts()
    alice.ask("send", "bob", "and after")
    assert bob.texts() == ["and after"], "doubled or lost"


def server_away(server, alice, bob):
    server.kill()
    alice.refused(3, "unreachable", "send", "bob", "kept", "--timeout", "0.2")
    alice.refused(3, "unreachable", "find", "bob", "--timeout", "0.2")
    server.start()
    assert alice.ask("sync")["waiting"] == 0
    assert bob.texts() == ["kept", "kept"]  # Asked twice: as JSON and in words.


def following(alice, bob):
    command = [COMMAND, "client", "sync", "--follow", "--json", "--profile", str(bob.directory)]
    with subprocess.Popen(command, env=environment(bob.folder), stdout=subprocess.PIPE, text=True) as follower:
        events = []

        def read_until(what):
            for line in follower.stdout:
                events.append(json.loads(line))
                if what(events[-1]):
                    return
            raise AssertionError(events)
        alarm = threading.Timer(DEADLINE, follower.kill)
        alarm.start()
        read_until(lambda e: e == {"event": "link", "state": "online"})
        alice.ask("send", "bob", "live")
        read_until(lambda e: e["event"] == "message" and e["message"]["text"] == "live")
        follower.send_signal(signal.SIGTERM)
        assert follower.wait() == 0
        alarm.cancel()


def devices(alice, bob):
    phone = Profile(alice.folder, alice.server, "alice-phone")
    phone.password = alice.password
    phone.ask("login", "alice")
    assert [m["text"] for m in phone.ask("sync")["messages"] if m["text"] == "live"] == ["live"], "an own message from elsewhere"
    listed = alice.ask("devices", keys={"devices"})["devices"]
    assert len(listed) == 2 and sum(d["this_device"] for d in listed) == 1
    other = next(d["id"] for d in listed if not d["this_device"])
    alice.refused(2, "usage", "kick", "zz")
    assert alice.ask("kick", other[:10], keys={"kicked"}) == {"kicked": {"id": other}}
    phone.refused(4, "not_logged_in", "sync")
    phone.password = "not the password"
    phone.refused(1, "wrong_password", "login", "alice")
    alice.refused(1, "wrong_password", "password", HONGYAN_PASSWORD="not the old one", HONGYAN_NEW_PASSWORD="x" * 12)
    new = new_password()
    alice.ask("password", HONGYAN_NEW_PASSWORD=new, keys={"password_changed"})
    alice.password = new
    assert alice.ask("logout", keys={"logged_out"}) == {"logged_out": True}
    alice.refused(4, "not_logged_in", "whoami")
    bob_in_alices_place = alice.start("login", "bob", "--json", HONGYAN_PASSWORD=bob.password)
    assert json.loads(bob_in_alices_place.stdout)["error"]["name"] == "other_account"
    alice.ask("login", "alice")


def encrypted(folder):
    """A certificate of the server's own is trusted by its fingerprint only."""
    with Server(options=["--listen", "0.0.0.0"]) as server:
        printed = next(line for line in server.output if "fingerprint" in line).split()[-1]
        erin = Profile(folder, server, "erin")
        erin.url = f"https://127.0.0.1:{server.port}"
        erin.refused(3, "unreachable", "register", "erin")
        erin.refused(3, "unreachable", "register", "erin", "--fingerprint", "ab" * 32)
        erin.refused(2, "usage", "register", "erin", "--fingerprint", "ab")
        erin.ask("register", "erin", "--fingerprint", printed)
        erin.ask("sync")  # The pin is kept,
        erin.refused(3, "unreachable", "sync", "--fingerprint", "ab" * 32)
        erin.ask("sync")  # and a wrong one never is.


def documented(folder):
    """The shell examples of docs/client.md, in their order, against a server of their own."""
    folder = folder / "examples"
    folder.mkdir()
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/client.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    (folder / "hongyan").symlink_to(COMMAND)
    with Server() as server:
        done = subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", "".join(blocks)], cwd=folder, capture_output=True,
                              text=True, timeout=120, env=environment(folder, HONGYAN_SERVER=server.ready["web"]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Alice  Hello!" in done.stdout and "exit code 4" in done.stdout, done.stdout


class Terminal:
    """`hongyan chat` in a pseudo-terminal."""

    def __init__(self, profile, **more):
        self.raw = b""
        self.seen = 0
        command = [COMMAND, "chat", "--profile", str(profile.directory), "--server", profile.url]
        env = environment(profile.folder, **{"TERM": "xterm", "COLUMNS": "100", "LINES": "30", **more})
        self.pid, self.handle = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, env)

    def write(self, text):
        os.write(self.handle, text.encode())

    def expect(self, words):
        """Waits until `words` come after what was expected before; answers what came until then."""
        limit = time.monotonic() + DEADLINE
        while True:
            shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw.decode(errors="ignore"))
            found = shown.find(words, self.seen)
            if found >= 0:
                before, self.seen = shown[self.seen:found], found + len(words)
                return before
            if not self._read(limit):
                raise AssertionError(f"no {words!r} in {shown[self.seen:]!r}")

    def _read(self, limit):
        ready = select.select([self.handle], [], [], max(0, limit - time.monotonic()))[0]
        try:
            data = os.read(self.handle, 65536) if ready else b""
        except OSError:
            data = b""
        self.raw += data
        return bool(data)

    def end(self):
        limit = time.monotonic() + DEADLINE
        while self._read(limit):
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.handle)
        return code


def interactive(server, alice, bob):
    dora = Profile(alice.folder, server, "dora")
    screen = Terminal(dora)
    for question, answer in (("[l/n/q]", "n"), ("User name:", "dora"), ("others see", "Dora"), ("Password:", dora.password),
                             ("again:", dora.password)):
        screen.expect(question)
        screen.write(answer + "\n")
    screen.expect("Nobody to talk to yet")
    assert dora.password not in screen.raw.decode(errors="replace"), "a password was echoed"

    screen.write("/add alice hi from Dora\r")
    screen.expect("asked Ali; they have to accept")
    assert [c["greeting"] for c in alice.ask("contacts")["contacts"] if c["user_name"] == "dora"] == ["hi from Dora"]
    alice.ask("accept", "dora")
    screen.expect("Ali is your friend now")
    screen.write("/op\tali\t\r")
    screen.expect("Ali> ")
    screen.write("hello 鸿雁\r")
    screen.expect("hello 鸿雁")
    wait_for(lambda: "hello 鸿雁" in alice.texts())

    screen.write("half a li")
    screen.expect("half a li")
    mark = len(screen.raw)
    alice.ask("send", "dora", "news \x1b]0;evil\x07\x1b[31m‮while you type")
    screen.expect("while you type")
    screen.expect("Ali> half a li")
    assert b"\x1b]0" not in screen.raw[mark:] and b"\x1b[31mwhile" not in screen.raw[mark:] and "‮".encode() not in screen.raw
    screen.write("ne\r")
    wait_for(lambda: "half a line" in alice.texts())
    wait_for(lambda: all(c["unread"] == 0 for c in dora.ask("chats")["chats"]))  # An open chat is read.

    server.kill()
    screen.expect("offline")
    screen.write("written while away\r")
    screen.expect("… sending")
    screen.expect("1 to send")
    server.start()
    wait_for(lambda: "written while away" in alice.texts())
    screen.write("/group create \"Two of us\" alice\r")
    screen.expect("Two of us> ")
    screen.write("/group members\r")
    screen.expect("owner")
    bob.ask("add", "dora", "knock")
    screen.expect("asks to be your friend: knock")
    screen.write("/accept bob\r")
    screen.expect("is your friend now")
    bob.ask("send", "dora", "elsewhere")
    screen.expect("● Bob 鸿雁: elsewhere")
    screen.expect("(1 new) Two of us> ")
    screen.write("/list\r")
    screen.expect("1 new")
    screen.write("/nonsense\r")
    screen.expect("/help lists")
    screen.write("/close\r")
    screen.write("/history\r")
    screen.expect("Open a conversation first")
    screen.write("/quit\r")
    assert screen.end() == 0

    again = Terminal(dora, NO_COLOR="1")
    again.expect("hongyan> ")
    again.write("\x1b[A\x1b[A\x1b[A")
    again.expect("hongyan> /close")
    again.write("\x15/open alice\r")
    again.expect("written while away")
    again.write("\x04")
    assert again.end() == 0
    assert not re.search(rb"\x1b\[\d+m", again.raw), "colours in spite of NO_COLOR"

    dumb = Terminal(dora, TERM="dumb")
    dumb.expect("hongyan> ")
    dumb.write("/open alice\r")
    dumb.expect("Ali> ")
    dumb.write("from a dumb term")
    dumb.expect("from a dumb term")
    alice.ask("send", "dora", "plain news")
    dumb.expect("plain news")
    dumb.expect("Ali> from a dumb term")
    dumb.write("inal\r")
    wait_for(lambda: "from a dumb terminal" in alice.texts())
    dumb.write("\x04")
    assert dumb.end() == 0
    assert b"\x1b" not in dumb.raw, "escape sequences on a dumb terminal"

    texts = [m["text"] for m in alice.ask("history", "dora", "--limit", "100")["messages"]]
    for text in ("hello 鸿雁", "half a line", "written while away", "from a dumb terminal"):
        assert texts.count(text) == 1, (text, texts)


def terminals():
    """Whether this machine gives pseudo-terminals: a box with a bare /dev does not."""
    try:
        for end in pty.openpty():
            os.close(end)
        return True
    except OSError:
        return False


def main():
    unit_tests()
    cases = 1
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hongyan-client-")))
        server = stack.enter_context(Server())
        alice, bob, carol = (Profile(folder, server, name) for name in ("alice", "bob", "carol"))
        for case, arguments in ((accounts, (alice, bob, carol)), (friends, (alice, bob, carol)), (messages, (alice, bob)),
                                (groups, (alice, bob, carol)), (killed_sender, (server, alice, bob)),
                                (server_away, (server, alice, bob)), (following, (alice, bob)), (devices, (alice, bob)),
                                (encrypted, (folder,)), (documented, (folder,)), (interactive, (server, alice, bob))):
            if case is interactive and not terminals():
                print("interactive left out: there are no pseudo-terminals here")
                continue
            started = time.monotonic()
            case(*arguments)
            cases += 1
            print(f"{case.__name__} {time.monotonic() - started:.1f} s", flush=True)
    print(f"{cases} passed, 0 failed")


if __name__ == "__main__":
    main()

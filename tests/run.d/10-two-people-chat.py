#!/usr/bin/env python3
"""Two people chat over the real server: register, befriend, send, sync, unread, history, restart."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from web_client import Client, Server, befriend, expect_code, new_password  # noqa: E402

NOT_FRIEND, NAME_TAKEN, WRONG_PASSWORD, REUSED, BLOCKED, OLD_EPOCH = 105, 101, 104, 107, 106, 113


def main():
    with Server() as server:
        alice = Client(server, "alice", new_password()).register("Alice")
        bob = Client(server, "bob", new_password()).register("Bob 鸿雁")
        expect_code(NAME_TAKEN, Client(server, "Alice", new_password()).register)
        expect_code(WRONG_PASSWORD, Client(server, "alice", "not the password").login)

        print("strangers can't write to each other")
        expect_code(NOT_FRIEND, alice.send, bob.uin, "hello?")
        assert alice.call("user/find", {"userName": "bob"})["profile"]["uin"] == bob.uin
        befriend(alice, bob)
        bob.sync()
        assert bob.contacts[alice.uin]["state"] == 1 and bob.contacts[alice.uin]["profile"]["nickname"] == "Alice"

        print("messages arrive once, in order, on all devices")
        for n in range(50):
            (alice if n % 2 == 0 else bob).send((bob if n % 2 == 0 else alice).uin, f"line {n}")
        first = alice.send(bob.uin, "again", "same-id")
        assert alice.send(bob.uin, "again", "same-id")["key"] == first["key"]
        expect_code(REUSED, alice.send, bob.uin, "other words", "same-id")
        expected = [f"line {n}" for n in range(50)] + ["again"]
        phone = Client(server, "bob", bob.password).login()
        for device in (alice, bob):
            device.sync()
            assert device.texts() == expected, device.texts()
        phone.sync()
        page = phone.call("history", {"conversation": {"type": 1, "id": alice.uin}, "limit": 100})["messages"]
        assert [m["digest"] for m in reversed(page)] == expected
        state = bob.call("conversation/list", {"limit": 10})["conversations"][0]
        assert state["unread"] == 26, state
        bob.call("read", {"conversation": {"type": 1, "id": alice.uin}, "position": state["lastPosition"]})
        phone.sync()
        assert phone.conversations[(1, alice.uin)].get("unread", 0) == 0

        print("a restart keeps everything, and the old ticket works on")
        assert server.stop() == 0, server.output[-5:]
        server.start()
        assert alice.sync() == []
        carol = Client(server, "alice", alice.password).login()
        carol.sync()
        alice.send(bob.uin, "after the restart")
        bob.sync()
        assert bob.texts()[-1] == "after the restart"
        assert not any(secret in "\n".join(server.output) for secret in (alice.password, alice.ticket, alice.refresh))

        print("remove, block, log out")
        bob.call("contact/set", {"uin": alice.uin, "blocked": True, "fields": ["blocked"]})
        expect_code(BLOCKED, alice.send, bob.uin, "are you there?")
        bob.call("contact/set", {"uin": alice.uin, "blocked": False, "fields": ["blocked"]})
        bob.call("friend/remove", {"uin": alice.uin})
        expect_code(NOT_FRIEND, alice.send, bob.uin, "are you there?")
        old_ticket = phone.ticket
        phone.call("logout")
        phone.ticket = old_ticket
        expect_code(OLD_EPOCH, phone.sync)
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()

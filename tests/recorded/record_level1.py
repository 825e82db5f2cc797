#!/usr/bin/env python3
"""Records what a client of feature level 1 (one-to-one chats, no groups) says and hears, on both links, into
tests/recorded/level1. Recordings are never changed: a later server must still satisfy them. Run this only to add a new
scene under new numbers; it refuses to write over a recording."""
import base64
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[0] / "lib"))
from protos import compile_protos  # noqa: E402
from web_client import Server  # noqa: E402


def device(letter):
    return base64.b64encode(letter.encode() * 16).decode()


class Recorder:
    def __init__(self, ready, table):
        self.ready, self.table, self.number, self.tickets, self.uins = ready, table, 0, {}, {}
        self.snapshots = {}

    def ask(self, who, path, link="short", ticket=True, **fields):
        import exchanges
        from google.protobuf import json_format
        _, request_type, response_type = self.table[path]
        base = {"deviceId": device(who), "featureLevel": 1, "clientVersion": 100, "locale": "en"}
        if ticket and who in self.tickets:
            base["ticket"] = self.tickets[who]
        request = json_format.ParseDict({"base": base, **fields}, request_type())
        data = exchanges.ask(self.ready, link, self.table, path, request.SerializeToString())
        response = exchanges.as_json(response_type.FromString(data))
        self.number += 1
        file = HERE / "level1" / f"{self.number:02}-{path.replace('/', '-')}.json"
        recording = {"path": path, "cmdid": self.table[path][0], "link": link, "request_hex": request.SerializeToString().hex(),
                     "request": exchanges.as_json(request), "response_hex": data.hex(), "response": response}
        with open(file, "x") as out:
            json.dump(recording, out, indent=1, ensure_ascii=False)
            out.write("\n")
        if response.get("ticket"):
            self.tickets[who], self.uins[who] = response["ticket"], response.get("uin", self.uins.get(who))
        if response.get("snapshot"):
            self.snapshots[who] = response["snapshot"]
        return response


def message(uin, text, client_msg_id, **fields):
    return {"conversation": {"type": 1, "id": uin}, "clientMsgId": client_msg_id, "clientTimeMs": "1767225600000", "kind": 1,
            "content": base64.b64encode(text.encode()).decode(), "digest": text, **fields}


def scene(r):
    for who, name in (("a", "anna"), ("b", "boris")):
        r.ask(who, "register", userName=name, password="password of " + name, nickname=name.title(),
              device={"id": device(who), "platform": 2, "model": "old phone"})
    r.ask("c", "register", userName="anna", password="another password", nickname="C", device={"id": device("c")})
    r.ask("c", "login", link="long", password={"userName": "anna", "password": "wrong password"}, device={"id": device("c")})
    r.ask("a", "login", link="long", password={"userName": "anna", "password": "password of anna"},
          device={"id": device("a"), "platform": 2})
    a, b = r.uins["a"], r.uins["b"]
    talk_a, talk_b = {"type": 1, "id": b}, {"type": 1, "id": a}
    r.ask("a", "identify", link="long")
    r.ask("a", "sync", ticket=False)
    r.ask("a", "profile/get")
    r.ask("a", "profile/set", nickname="Anna A.", avatarColor=255, fields=["nickname", "avatar_color"])
    r.ask("a", "user/find", userName="boris")
    r.ask("a", "sync")
    r.ask("a", "send", messages=[message(b, "too early", "m-0")])
    r.ask("a", "friend/add", link="long", uin=b, greeting="hello Boris")
    r.ask("b", "contact/list")
    r.ask("b", "friend/accept", uin=a)
    r.ask("b", "sync", link="long")
    r.ask("a", "send", messages=[message(b, "one", "m-1")])
    r.ask("a", "send", link="long", messages=[message(b, "one", "m-1")])
    r.ask("a", "send", messages=[message(b, "not one", "m-1")])
    r.ask("b", "send", link="long", messages=[message(a, "two 鸿雁", "m-2"), message(a, "three", "m-3", ext="AAEC", flags=1)])
    r.ask("a", "send", messages=[message(b, "[order]", "m-4", kind=60001, content="AP8B")])
    r.ask("a", "sync", snapshot=r.snapshots["a"])
    r.ask("b", "sync", link="long", snapshot=r.snapshots["b"])
    r.ask("b", "poll", snapshot="", waitMs=0)
    r.ask("b", "conversation/list", limit=10)
    r.ask("b", "history", conversation=talk_b, limit=2)
    state = r.ask("b", "conversation/list", link="long", limit=10)["conversations"][0]
    r.ask("b", "read", conversation=talk_b, position=state["lastPosition"])
    r.ask("b", "conversation/set", conversation=talk_b, muteUntilMs="1893456000000", pinRank="7", draft="so", fields=["mute_until_ms", "pin_rank", "draft"])
    r.ask("a", "typing", link="long", conversation=talk_a)
    r.ask("b", "contact/set", uin=a, remark="Annie", fields=["remark"])
    r.ask("b", "contact/set", uin=a, blocked=True, fields=["blocked"])
    r.ask("a", "send", link="long", messages=[message(b, "blocked", "m-5")])
    r.ask("b", "contact/set", uin=a, blocked=False, fields=["blocked"])
    r.ask("b", "sync", snapshot=r.snapshots["b"])
    r.ask("b", "friend/remove", uin=a)
    r.ask("a", "send", messages=[message(b, "removed", "m-6")])
    r.ask("a", "send", messages=[message(a, "to myself", "m-7")])
    r.ask("a", "device/list")
    r.ask("b", "password/set", oldPassword="password of boris", newPassword="new password of boris")
    r.ask("b", "logout", link="long")
    r.ask("b", "sync")


def main():
    import exchanges
    with compile_protos(), Server() as server:
        recorder = Recorder(server.ready, exchanges.commands())
        scene(recorder)
        print(f"{recorder.number} exchanges")


if __name__ == "__main__":
    main()

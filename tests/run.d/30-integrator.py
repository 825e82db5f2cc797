#!/usr/bin/env python3
"""An integrator's server with nothing but HTTP: make users, open sessions for them, make friends, send; each repeated."""
import base64
import http.client
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from web_client import Client, Server, expect_code, new_password  # noqa: E402


class Api:
    def __init__(self, server, secret):
        self.address, self.secret = server.ready["server_api"].removeprefix("http://"), secret

    def call(self, path, body=None, status=200, raw=None, method="POST", secret=None):
        connection = http.client.HTTPConnection(self.address, timeout=15)
        connection.request(method, path, raw if raw is not None else json.dumps(body or {}),
                           {"Authorization": "Bearer " + (self.secret if secret is None else secret)})
        answer = connection.getresponse()
        data = json.loads(answer.read())
        assert answer.status == status, (path, answer.status, data)
        assert answer.getheader("Content-Type") == "application/json"
        return data if status == 200 else data["error"]


def log_in(server, ticket):
    client = Client(server)
    return client._opened(client.call("login", {"integratorTicket": ticket, "device": client.device()}))


def main():
    with Server() as server:
        secret = next(line.strip() for line in server.output if re.fullmatch(r"\s*[0-9a-f]{64}", line))
        api = Api(server, secret)

        print("nobody without the secret")
        for wrong in ("", "x", secret[:-1], secret + "0", secret.upper()):
            error = api.call("/api/v1/users", {"external_id": "u1"}, 401, secret=wrong)
            assert error["code"] == 6 and error["name"] == "unauthenticated", error
        assert api.call("/healthz", method="GET", secret="")["ok"]

        print("users, once each")
        made = api.call("/api/v1/users", {"external_id": "user 1", "nickname": "Uma", "avatar_color": 0x112233})
        assert made == {"uin": made["uin"], "external_id": "user 1", "nickname": "Uma", "avatar_color": 0x112233, "type": 1,
                        "existed": False}, made
        again = api.call("/api/v1/users", {"external_id": "user 1", "nickname": "Somebody else"})
        assert again["uin"] == made["uin"] and again["existed"] and again["nickname"] == "Uma", again
        other = api.call("/api/v1/users", {"external_id": "user 2", "nickname": "Vic 鸿"})
        assert other["uin"] != made["uin"]

        print("a ticket opens a session once")
        ticket = api.call("/api/v1/tickets", {"external_id": "user 1"})
        assert ticket["url"] == server.ready["web"] + "/#ticket=" + ticket["ticket"], ticket
        uma = log_in(server, ticket["ticket"])
        assert int(uma.uin) == made["uin"]
        expect_code(6, log_in, server, ticket["ticket"])
        vic = log_in(server, api.call("/api/v1/tickets", {"uin": other["uin"], "valid_ms": 60000})["ticket"])

        print("messages, once each, also between strangers")
        message = {"from": "user 1", "to": other["uin"], "client_msg_id": "m-1", "text": "hello \"Vic\"\n鸿"}
        sent = api.call("/api/v1/messages", message)
        assert api.call("/api/v1/messages", message) == sent
        assert api.call("/api/v1/messages", {**message, "text": "other"}, 409)["name"] == "client_msg_id_reused"
        system = {"from": "system", "to": "user 2", "client_msg_id": "s-1", "text": "Your order has left."}
        assert api.call("/api/v1/messages", system)["key"] == api.call("/api/v1/messages", system)["key"]
        api.call("/api/v1/messages", {"from": made["uin"], "to": "user 2", "client_msg_id": "m-2", "kind": 60001,
                                      "content": base64.b64encode(b"\0\xff").decode(), "ext": "AAE=", "digest": "[order]"})
        vic.sync()
        uma.sync()
        assert [m["digest"] for m in vic.messages] == ["hello \"Vic\" 鸿", "Your order has left.", "[order]"], vic.messages
        assert vic.messages[1]["sender"] == "1000" and vic.messages[2]["content"] == "AP8=" and vic.messages[2]["ext"] == "AAE="
        assert bytes.fromhex(sent["key"]) == base64.b64decode(vic.messages[0]["key"])
        assert [m["digest"] for m in uma.messages] == ["hello \"Vic\" 鸿", "[order]"], uma.messages
        expect_code(105, uma.send, vic.uin, "as myself I may not")

        print("friends, and blocking counts")
        for _ in range(2):
            api.call("/api/v1/friends", {"a": "user 1", "b": other["uin"]})
        uma.send(vic.uin, "now I may")
        vic.call("contact/set", {"uin": uma.uin, "blocked": True, "fields": ["blocked"]})
        assert api.call("/api/v1/messages", {**message, "client_msg_id": "m-3"}, 403)["name"] == "blocked"

        print("a group, as one of its members")
        ann = Client(server, "ann", new_password()).register()
        for friend in ("user 1",):
            api.call("/api/v1/friends", {"a": int(ann.uin), "b": friend})
        group = ann.call("group/create", {"clientGroupId": "g", "name": "We", "members": [uma.uin]})["group"]["id"]
        posted = {"from": "user 1", "to": int(group), "client_msg_id": "g-1", "text": "to all"}
        assert api.call("/api/v1/messages", posted)["key"] == api.call("/api/v1/messages", posted)["key"]
        assert api.call("/api/v1/messages", {**posted, "from": "user 2", "client_msg_id": "g-2"}, 403)["name"] == "not_member"
        assert api.call("/api/v1/messages", {**posted, "from": "system"}, 403)["name"] == "forbidden"

        print("wrong requests are named")
        for path, body, status, name in [
                ("users", {}, 400, "invalid"), ("users", {"external_id": 7}, 400, "invalid"),
                ("users", {"external_id": "system"}, 400, "invalid"), ("users", {"external_id": "x" * 1000}, 413, "too_large"),
                ("users", {"external_id": "u3", "type": 99}, 400, "invalid"), ("tickets", {"uin": 5}, 404, "not_found"),
                ("tickets", {"external_id": "nobody"}, 404, "not_found"), ("tickets", {"uin": 1.5}, 400, "invalid"),
                ("tickets", {"uin": -1}, 400, "invalid"), ("tickets", {"uin": 1e300}, 400, "invalid"),
                ("messages", {}, 400, "invalid"), ("messages", {**message, "to": "nobody"}, 404, "not_found"),
                ("messages", {**message, "to": 12345}, 404, "not_found"),
                ("messages", {**message, "client_msg_id": ""}, 400, "invalid"),
                ("messages", {**message, "content": "AA=="}, 400, "invalid"),
                ("messages", {**message, "client_msg_id": "m-9", "text": "x" * 40000}, 413, "too_large"),
                ("messages", {**message, "client_msg_id": "m-9", "kind": 2}, 403, "forbidden"),
                ("messages", {**message, "client_msg_id": "m-9", "kind": 70000}, 400, "invalid"),
                ("friends", {"a": "user 1", "b": "user 1"}, 400, "invalid"), ("nonsense", {}, 404, "not_found")]:
            error = api.call("/api/v1/" + path, body, status)
            assert error["name"] == name and error["text"], (path, body, error)
        for raw in ("", "{", "[]", "[" * 5000, "\xff\xfe", '{"a":1}x', "nul"):
            api.call("/api/v1/users", raw=raw.encode("latin-1"), status=400)
        assert not any(m["digest"].startswith("x") for m in vic.messages)
        assert api.call("/api/v1/users", method="GET", status=405)["name"] == "invalid"

        assert server.stop() == 0, server.output[-5:]
        log = "\n".join(server.output)
        assert log.count(secret) == 1 and ticket["ticket"] not in log, "a secret in the log"
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()

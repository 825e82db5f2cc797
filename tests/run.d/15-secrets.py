#!/usr/bin/env python3
"""No secret leaves its place: passwords, tickets and refresh tokens of a whole run are looked for in the server's output,
its log at level debug, its spans, its metrics, and every file it keeps; the contents of messages in all but the files.

Passwords may stand nowhere at all. Tickets and refresh tokens may not stand in output, logs or metrics, nor in files
(a stolen backup must not log anybody in). The deployment's own keys stand in DATA/secrets, which only the owner reads;
the server port's secret is printed once, at the first start."""
import base64
import http.client
import pathlib
import stat
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from web_client import Client, Refused, Server, befriend, new_password  # noqa: E402

SPANS_S = 60


def spellings(text):
    """A secret as it is, and as bytes, hex and the two base64s when it is base64 (as JSON carries bytes)."""
    found = {text.encode()}
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return found
    if len(raw) >= 12:
        found |= {raw, raw.hex().encode(), base64.urlsafe_b64encode(raw).rstrip(b"=")}
    return found


class Secrets:
    def __init__(self):
        self.passwords, self.tokens = set(), set()
        self.contents = {f"nobody's business {new_password()}" for _ in range(3)}

    def of(self, client):
        self.passwords.add(client.password)
        self.tokens |= {token for token in (client.ticket, client.refresh) if token}
        return client


def get(server, path):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", path)
    return connection.getresponse().read()


def live(server, secrets):
    """What people do with secrets, right and wrong."""
    ann = secrets.of(Client(server, "ann", new_password()).register())
    ben = secrets.of(Client(server, "ben", new_password()).register())
    befriend(ann, ben)
    group = ann.call("group/create", {"clientGroupId": "g", "name": "g", "members": [ben.uin]})["group"]["id"]
    for n in range(20):
        ann.send(ben.uin, f"line {n}")
        ben.send(group, f"line {n}")
    for text in secrets.contents:
        ann.send(ben.uin, text)
        ben.send(group, text)
    phone = secrets.of(Client(server, "ann", ann.password).login())
    phone.sync()
    renewed = Client(server, "ann", ann.password)
    renewed.device_id = phone.device_id
    renewed._opened(renewed.call("login", {"refresh": phone.refresh, "device": renewed.device()}))
    secrets.of(renewed)
    for wrong in (Client(server, "ann", new_password()), Client(server, "ann", new_password()[:7]), Client(server, new_password(), new_password())):
        secrets.of(wrong)
        for attempt in (wrong.login, wrong.register):
            try:
                attempt()
            except Refused:
                pass
    for ticket in (phone.ticket, renewed.ticket[:-8], base64.b64encode(b"x" * 90).decode()):
        stranger = Client(server)
        stranger.ticket = ticket
        secrets.tokens.add(ticket)
        try:
            stranger.sync()
        except Refused:
            pass
    fresh = new_password()
    secrets.passwords.add(fresh)
    ben.call("password/set", {"oldPassword": ben.password, "newPassword": fresh})
    try:
        ben.call("password/set", {"oldPassword": ben.password, "newPassword": fresh})
    except Refused:
        pass
    ann.call("device/kick", {"deviceId": phone.device_id})
    ann.call("logout")
    # Broken requests that carry a secret: complaints about them must not quote it.
    for body in ('{"base": {"ticket": "%s"}, "nonsense": 1}' % ann.ticket, '{"password": {"password": "%s"' % fresh, "[%s]" % fresh):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("POST", "/api/v1/login", body, {"Content-Type": "application/json"})
        answer = connection.getresponse().read()
        assert fresh.encode() not in answer and ann.ticket.encode() not in answer, answer


def look(places, secrets, what):
    for place, data in places:
        for secret in secrets:
            for spelling in spellings(secret):
                assert spelling not in data, f"a {what} stands in {place}: {spelling!r}"


def files(directory):
    return [(path, path.read_bytes()) for path in sorted(directory.rglob("*")) if path.is_file()]


def main():
    secrets = Secrets()
    with Server(options=("--demo",)) as server:
        log = server.data / "server.log"
        server.kill()
        # What was written since a start stands in the log of the store as it is; later it is compressed.
        kept = files(server.data)
        config = server.data / "test.toml"
        config.write_text(f'[log]\nlevel = "debug"\nfile = "{log}"\n[trace]\nper_million = 1000000\ndirectory = "{server.data}/traces"\n')
        demo = [line.rsplit("password ", 1)[1] for line in server.output if "password " in line]
        assert len(demo) == 2, "two demo accounts"
        first = [line for line in server.output if len(line.strip()) == 64]
        assert len(first) == 1, "the server port's secret is printed once"
        server.output.clear()
        server.options += ["--config", str(config)]
        server.start()
        live(server, secrets)
        metrics = get(server, "/metrics")
        traces = server.data / "traces"
        limit = time.monotonic() + SPANS_S
        while not any(b"spanId" in path.read_bytes() for path in traces.iterdir()):  # Written once a second.
            assert time.monotonic() < limit, "no span was written"
            time.sleep(0.05)
        server.kill()
        kept += files(server.data)
        server.start()
        assert server.stop() == 0
        kept += files(server.data)
        secrets.passwords |= set(demo)
        text = "\n".join(server.output).encode()
        assert first[0].strip().encode() not in text, "printed again"
        spoken = [("the output", text), ("the metrics", metrics)]
        spoken.append(("the log", log.read_bytes()))
        spoken.append(("the spans", b"".join(path.read_bytes() for path in traces.iterdir())))
        kept = [(path, data) for path, data in kept if path != log and path.name != "secrets"]
        assert any(b"line 7" in data for _, data in kept), "the messages are not found either: this test looks at nothing"
        keys = [line.split()[2] for line in (server.data / "secrets").read_text().splitlines()[1:]]
        assert len(keys) >= 13
        everywhere = spoken + kept
        look(everywhere, secrets.passwords, "password")
        look(everywhere, secrets.tokens, "ticket or refresh token")
        look(spoken, secrets.contents | {base64.b64encode(text.encode()).decode() for text in secrets.contents}, "message")
        told = log.read_text()
        assert "entry: answered" in told and " uin=" in told and " trace=" in told, "the log at level debug tells nothing: this test looks at nothing"
        for key in keys:
            for place, data in everywhere:
                assert key.encode() not in data and bytes.fromhex(key) not in data, f"a key stands in {place}"
        assert stat.S_IMODE((server.data / "secrets").stat().st_mode) == 0o600
        print(f"{len(secrets.passwords)} passwords, {len(secrets.tokens)} tokens, {len(keys)} keys in {len(everywhere)} places: none")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()

"""Hostile input by class, from 64 connections at a time. The standard library, and libsodium where it must seal.

Each class makes inputs from a seed and says which answers are right: a documented error code at once, or a clean close
where the bytes are no request. Run as a program it attacks one server with one class and prints a tally as JSON:

    hostile.py STATE_FILE CLASS COUNT SEED

STATE_FILE is the JSON that tests/run.d/55-hostile.py writes: addresses, tickets, snapshots and ids to misuse."""
import asyncio
import base64
import collections
import hashlib
import json
import os
import pathlib
import random
import re
import socket
import struct
import sys
import time

import seal

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONNECTIONS = 64
AT_ONCE_S = 8  # An answer later than this is none. Generous: the machine may be loaded, and nothing is held for that long.
HTTP_STATUSES = {400, 404, 405, 408, 413, 415, 426, 431, 501, 503, 505}
CLOSE_CODES = {1000, 1001, 1005, 1002, 1003, 1007, 1008, 1009, 1013, 4001, 4002}
NEVER = {13, 15}  # corrupt, internal: no input may lead there.
INVALID, UNAUTHENTICATED, NOT_FRIEND, BLOCKED, NOT_MEMBER, BAD_SNAPSHOT, OLD_EPOCH = 5, 6, 105, 106, 108, 111, 113
OVERLOADED = 3  # Said to anybody, before anything is looked at that a class is about.
BUSY = 503  # Among the codes of a large body: HTTP's refusal when 8 MiB of all bodies are half-received.
NOT_FOUND, FORBIDDEN, TOO_LARGE, UNSUPPORTED = 8, 7, 11, 14


def documented_codes():
    text = (ROOT / "src/model/error_code.h").read_text()
    return {int(number) for number in re.findall(r"^\s*X\((\d+), \w+, \d,", text, re.M)} - NEVER


CODES = documented_codes()


class Wrong(Exception):
    """An answer that no page documents, or none."""


def request(path, body, extra=b"", method=b"POST"):
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    return (method + b" /api/v1/" + path.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + extra +
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


def noise(chance, size):
    return chance.randbytes(size)


def flipped(chance, data, bits=None):
    out = bytearray(data)
    for _ in range(bits or chance.randrange(1, 9)):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def b64(data):
    return base64.b64encode(data).decode()


class World:
    """What the attackers hold."""

    def __init__(self, state):
        self.__dict__.update(state)

    def base(self, **more):
        return {"ticket": self.attacker["ticket"], "deviceId": self.attacker["device"], "featureLevel": 2, **more}

    def sync(self):
        return {"base": self.base(), "snapshot": self.attacker["snapshot"]}

    def message(self, to, kind=1, **more):
        return {"conversation": {"type": kind, "id": str(to)}, "clientMsgId": "%032x" % random.getrandbits(128), "kind": 1,
                "content": b64(b"hello"), "digest": "hello", **more}


# One hostile input: bytes for a fresh connection in pieces, and what may come back. `codes`: allowed base.code of a 200.
Raw = collections.namedtuple("Raw", "pieces half_close statuses codes close_ok", defaults=(True, HTTP_STATUSES, CODES, True))


# ---- HTTP

def http_oversized(chance, world):
    good = b"POST /api/v1/sync HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    size = chance.choice(["4294967295", "4294967296", "18446744073709551615", "18446744073709551616", "9" * 40, "1048577",
                          "-1", "0x10", "+5", "1e9", ""])
    pick = chance.randrange(5)
    if pick == 0:
        text = good + b"Content-Length: " + size.encode() + b"\r\n\r\n{"
    elif pick == 1:
        text = good + b"Transfer-Encoding: chunked\r\n\r\n" + chance.choice(
            [b"FFFFFFFF\r\n{", b"FFFFFFFFFFFFFFFF\r\n", b"100001\r\n{", b"-1\r\n", b"0000000000000000000000001\r\n{", b"G\r\n"])
    elif pick == 2:
        text = good + b"X-Long: " + b"a" * chance.randrange(16 * 1024, 24 * 1024) + b"\r\n\r\n"
    elif pick == 3:
        text = good + b"".join(b"x%d: 1\r\n" % n for n in range(chance.randrange(101, 300))) + b"\r\n"
    else:
        text = b"GET /" + b"a" * chance.randrange(16 * 1024, 20 * 1024) + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    return Raw([text], False, {400, 413, 431}, set(), False)


def http_truncated(chance, world):
    text = request("sync", world.sync())
    return Raw([text[:chance.randrange(len(text))]], True, {400}, set())


def http_split(chance, world):
    text = request("sync", world.sync())
    if chance.randrange(200) == 0:
        pieces = [text[n:n + 1] for n in range(len(text))]
    else:
        at = chance.randrange(1, len(text))
        pieces = [text[:at], text[at:]]
    return Raw(pieces, False, set(), {0}, False)


def http_bit_flipped(chance, world):
    return Raw([flipped(chance, request("sync", world.sync()))])


def http_random(chance, world):
    text = noise(chance, chance.randrange(1, 2000))
    if chance.randrange(2):
        text = b"POST /api/v1/send HTTP/1.1\r\n" + text
    if chance.randrange(2):
        text += b"\r\n\r\n"
    return Raw([text])


def http_smuggled(chance, world):
    body = b"5\r\n{}   \r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /api/v1/sync HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    trick = chance.choice([
        b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
        b"Content-Length: 5, 5\r\n", b"X: a\r\n Content-Length: 3\r\n", b"Host: y\r\n", b"Bad Name: 1\r\n", b": empty\r\n",
        b"X: a\nContent-Length: 3\r\n", b"X: a\rb\r\n", b"X: \x00\r\n"])
    return Raw([head + trick + b"\r\n" + body], True, {400, 501}, set(), False)


# ---- JSON (one connection, many requests)

COMMANDS = {}  # path -> [(field, type)]


def load_commands():
    messages, paths = {}, {}
    for file in sorted((ROOT / "src/api/client").glob("*.proto")):
        text = re.sub(r"//.*", "", file.read_text())
        for name, body in re.findall(r"message (\w+) \{(.*?)\}", text, re.S):
            messages[name] = [(re.sub(r"_(\w)", lambda m: m[1].upper(), field), kind, bool(repeated))
                              for repeated, kind, field in re.findall(r"(repeated )?([\w.]+) (\w+) = \d+", body)]
        for name, path in re.findall(r"rpc \w+\((\w+)\).*?path: \"([\w/]+)\"", text):
            paths[path] = name
    for path, name in paths.items():
        COMMANDS[path] = messages.get(name, [])


def random_value(chance, world, kind):
    if kind in ("string",):
        return chance.choice(["", "a", "‮abc", "\u0000", "é" * 200, "x" * 5000, "😀" * 30, "\ud800", "nickname", "blocked",
                              "remark", "login"])
    if kind == "bytes":
        return chance.choice(["", b64(noise(chance, 16)), b64(noise(chance, 500)), "***", world.attacker["snapshot"], b64(b"x" * 40000)])
    if kind in ("uint64", "int64", "uint32", "int32"):
        return chance.choice([0, 1, -1, 2, 3, 500, 65535, 2**31, 2**32 - 1, 2**32, "18446744073709551615", "9223372036854775808",
                              "1e3", 1.5, "x", world.victim, world.friend, 1 << 42 | 5, 10001])
    if kind == "bool":
        return chance.choice([True, False, 1, "true", None])
    return chance.choice([{}, [], None, "x", {"type": 1, "id": world.victim}, {"type": 2, "id": str(1 << 42 | 7)},
                          {"type": 9, "id": "-5"}, {"id": "x"}])


def json_fields(chance, world):
    """A well-formed request of any command, its fields out of bounds or of another type."""
    path = chance.choice([p for p in COMMANDS if p not in ("register", "login", "logout", "password/set", "device/kick", "poll", "identify")])
    body = {"base": dict(world.soup)}
    for field, kind, repeated in COMMANDS[path]:
        if field == "base" or chance.randrange(4) == 0:
            continue
        if repeated and chance.randrange(4):
            body[field] = [random_value(chance, world, kind) for _ in range(chance.randrange(0, 4) or chance.randrange(1, 700))]
        else:
            body[field] = random_value(chance, world, kind)
    return path, json.dumps(body), CODES


def json_truncated(chance, world):
    text = json.dumps({"base": world.base(), "messages": [world.message(world.friend)]})
    return "send", text[:chance.randrange(len(text))], {INVALID}


def json_bit_flipped(chance, world):
    return "sync", flipped(chance, json.dumps(world.sync()).encode()), CODES


def json_random(chance, world):
    if chance.randrange(2):
        return "send", noise(chance, chance.randrange(0, 3000)), {INVALID}
    return "send", "".join(chance.choice('{}[]",:0123456789.eE+-\\ntruefalsnull \u00e9') for _ in range(chance.randrange(1, 400))), {INVALID, UNAUTHENTICATED}


def json_oversized(chance, world):
    depth = chance.choice([17, 100, 5000, 100000])
    text = chance.choice([
        '{"base":' * depth + "{}" + "}" * depth, "[" * depth, '{"messages":' + "[" * depth + "]" * depth + "}",
        '{"messages":[' + "0," * 12000 + "0]}", '{"snapshot":' + "9" * 5000 + "}", '{"base":{"featureLevel":1e999}}',
        '{"' + "k" * 70000 + '":1}', '{"base":{"ticket":"' + "A" * 500000 + '"}}', '{"a":"' + "\\u0000" * 5000 + '"}'])
    return chance.choice(["send", "sync"]), text, {INVALID, UNAUTHENTICATED, TOO_LARGE, BUSY}


def http_wrong_door(chance, world):
    """Methods, paths and content types that are no command."""
    pick = chance.randrange(4)
    if pick == 0:
        return Raw([request("no/such" + str(chance.randrange(99)), {})], True, {404}, set(), False)
    if pick == 1:
        return Raw([request("sync", {}, method=chance.choice([b"GET", b"PUT", b"DELETE", b"OPTIONS", b"PROPFIND"]))], True, {405}, set(), False)
    if pick == 2:
        return Raw([request("sync", {}).replace(b"application/json", b"text/plain")], True, {415}, set(), False)
    path = chance.choice([b"/../../etc/passwd", b"/%2e%2e/secrets", b"//etc/passwd", b"/assets/..%2f..%2fsecrets", b"/\\..\\x.y",
                          b"/secrets", b"/server.json"])
    return Raw([b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n"], True, HTTP_STATUSES | {200}, None, False)


# ---- tickets, refresh tokens, snapshots

def client_ticket(world, uin, device, epoch, expires_ms, key=None):
    """As rpc/ticket.cc writes it; with the server's own key only where the attack is not a forgery."""
    body = struct.pack(">BBQB", 1, 1, int(uin), len(device)) + device + struct.pack(">IIQ", epoch, 2, expires_ms)
    key_id, key_bytes = (world.key_id, bytes.fromhex(world.key)) if key is None else (1, key)
    head = bytes([6]) + b"client" + bytes([key_id])
    return body + bytes([key_id]) + hashlib.blake2b(head + body, digest_size=16, key=key_bytes).digest()


def tickets(chance, world):
    mine = base64.b64decode(world.attacker["ticket"])
    device = base64.b64decode(world.attacker["device"])
    now = int(time.time() * 1000)
    pick = chance.randrange(9)
    base, allowed = world.base(), {UNAUTHENTICATED}
    if pick == 0:
        base.pop("ticket")
    elif pick == 1:
        base["ticket"] = b64(flipped(chance, mine, 1))
    elif pick == 2:
        base["ticket"] = b64(mine[:chance.randrange(1, len(mine))])
    elif pick == 3:
        base["ticket"] = b64(noise(chance, chance.choice([1, 33, 70, 512, 513, 4000])))
    elif pick == 4:  # Of another device of mine.
        base["ticket"] = world.other_device["ticket"]
    elif pick == 5:  # Another user's, sent as my device.
        base["ticket"] = world.soup["ticket"]
    elif pick == 6:  # Forged for the victim with a key of mine.
        base["ticket"] = b64(client_ticket(world, world.victim, device, 1, now + 3600_000, noise(chance, 32)))
    elif pick == 7:  # Really signed, but expired, or of a life no ticket has.
        expires = chance.choice([now - 1, now - chance.randrange(1, 10**9), 0, now + 40 * 3600_000, 2**63 - 1])
        base["ticket"] = b64(client_ticket(world, world.attacker["uin"], device, world.attacker["epoch"], expires))
    else:  # Really signed, of an epoch that is not the session's.
        epoch = chance.choice([0, world.attacker["epoch"] + 1, world.attacker["epoch"] + 100, 2**32 - 1])
        base["ticket"] = b64(client_ticket(world, world.attacker["uin"], device, epoch, now + 3600_000))
        allowed = {OLD_EPOCH}
    path = chance.choice(["sync", "send", "history", "contact/list", "device/list", "group/create", "profile/get"])
    return path, json.dumps({"base": base}), allowed


def refresh_tokens(chance, world):
    mine = base64.b64decode(world.attacker["refresh"])
    info = {"id": world.attacker["device"], "platform": 6}
    pick = chance.randrange(5)
    if pick == 0:
        token = flipped(chance, mine, 1)
    elif pick == 1:
        token = mine[:chance.randrange(len(mine))]
    elif pick == 2:
        token = noise(chance, chance.choice([1, len(mine), 4000]))
    elif pick == 3:  # Good, but of another device.
        token, info["id"] = mine, b64(noise(chance, 16))
    else:
        token = base64.b64decode(world.closed_refresh)  # Of a device that was logged out.
        info["id"] = world.closed_device
    return "login", json.dumps({"base": {"deviceId": info["id"]}, "refresh": b64(token), "device": info}), {
        INVALID, UNAUTHENTICATED, OLD_EPOCH, NOT_FOUND, TOO_LARGE}


def snapshots(chance, world):
    mine = base64.b64decode(world.attacker["snapshot"])
    pick = chance.randrange(5)
    if pick == 0:
        snapshot = flipped(chance, mine, 1)
    elif pick == 1:
        snapshot = mine[:chance.randrange(1, len(mine))]
    elif pick == 2:
        snapshot = noise(chance, chance.choice([1, len(mine), 512, 513, 20000]))
    elif pick == 3:
        snapshot = base64.b64decode(world.other_device["snapshot"])
    else:
        snapshot = base64.b64decode(world.victim_snapshot)
    body = {"base": world.base(), "snapshot": b64(snapshot)}
    return chance.choice(["sync", "sync", "poll"]), json.dumps({**body, "waitMs": 1}), {BAD_SNAPSHOT}


# ---- sends, names

def wrong_recipients(chance, world):
    to, kind, allowed = chance.choice([
        (world.victim, 1, {NOT_FRIEND}), (world.blocker, 1, {BLOCKED}), (world.nobody, 1, {NOT_FRIEND, NOT_FOUND}),
        (0, 1, {INVALID}), (5, 1, {INVALID, NOT_FRIEND, NOT_FOUND}), (2**64 - 1, 1, {INVALID}), (2**63, 2, {INVALID}),
        (1 << 42 | 77, 2, {NOT_MEMBER, NOT_FOUND, UNSUPPORTED}), (world.group, 2, {NOT_MEMBER, NOT_FOUND, UNSUPPORTED}),
        (world.group, 1, {NOT_MEMBER, NOT_FOUND, UNSUPPORTED}), (world.victim, 2, {INVALID, NOT_MEMBER}), (world.victim, 7, {UNSUPPORTED})])
    return "send", json.dumps({"base": world.base(), "messages": [world.message(to, kind)]}), allowed


def wrong_messages(chance, world):
    more = chance.choice([
        {"content": b64(b"x" * 32769)}, {"content": ""}, {"content": b64(b"\xff\xfe")}, {"digest": "d" * 257}, {"ext": b64(b"e" * 1025)},
        {"clientMsgId": ""}, {"clientMsgId": "c" * 65}, {"kind": 0}, {"kind": 2}, {"kind": 65536}, {"kind": 50001}, {"flags": 64},
        {"mentions": ["1"] * 51}, {"mentionScope": 9}, {"quote": {"key": b64(b"short")}}, {"conversation": {"type": 1, "id": world.friend, "thread": "4"}}])
    count = 17 if chance.randrange(10) == 0 else 1
    return "send", json.dumps({"base": world.base(), "messages": [world.message(world.friend, **more)] * count}), {
        INVALID, TOO_LARGE, UNSUPPORTED, FORBIDDEN}


BAD_NAMES = ["", " ", "\u3000\u00a0", "a\u0000b", "a\u001bb", "a\nb", "\u007f", "\u0085", "\u202eevil", "x\u2066y", "\u2028", "\ufeffbom", "n" * 129,
             "é" * 65, "😀" * 33]
GOOD_NAMES = ["Zoë", "鸿雁", "أحمد", "שלום", "👩‍👩‍👧‍👦", "e\u0301", "O'Neil & <b>", "‏عربي", "\\\"", "\U0001F3F4\U000E0067\U000E0062\U000E007F"]


def names(chance, world):
    bad = chance.choice(BAD_NAMES)
    pick = chance.randrange(4)
    if pick == 0:
        return "profile/set", json.dumps({"base": world.base(), "nickname": bad, "fields": ["nickname"]}), {INVALID, TOO_LARGE}
    if pick == 1:
        if bad == "":
            bad = "\u0000"
        return "contact/set", json.dumps({"base": world.base(), "uin": world.friend, "remark": bad, "fields": ["remark"]}), {INVALID, TOO_LARGE}
    if pick == 2:
        return "group/create", json.dumps({"base": world.base(), "clientGroupId": "g%d" % chance.getrandbits(60), "name": bad,
                                           "members": [world.friend]}), {INVALID, TOO_LARGE, UNSUPPORTED}
    user = chance.choice(["a", "1abc", "a b", "a/b", "a\u0000bc", "‮abc", "abc😀", "a" * 33, ""])
    device = {"id": b64(noise(chance, 16)), "platform": 6}
    return "register", json.dumps({"userName": user, "password": "long enough", "nickname": "n", "device": device}), {INVALID, 102}


# ---- WebSocket

def ws_frame(data, opcode=1, fin=True, mask=b"\0\0\0\0", length=None, rsv=0):
    length = len(data) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv | opcode])
    flag = 0x80 if mask is not None else 0
    if length < 126:
        head += bytes([flag | length])
    elif length < 65536:
        head += bytes([flag | 126]) + struct.pack(">H", length)
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", length & (2**64 - 1))
    if mask is None:
        return head + data
    if mask != b"\0\0\0\0":
        data = bytes(b ^ mask[n % 4] for n, b in enumerate(data))
    return head + mask + data


def ws_call(world, path="sync", body=None):
    return json.dumps({"id": "1", "path": path, "body": body if body is not None else world.sync()}).encode()


# closes: allowed close codes; codes: allowed codes of answers; `end`: the link must end.
Ws = collections.namedtuple("Ws", "pieces half_close closes codes end", defaults=(True, CLOSE_CODES, CODES, True))


def ws_oversized(chance, world):
    return Ws([ws_frame(b"x", length=chance.choice([2**20 + 1, 0xFFFFFFFF, 2**32, 2**63 - 1, 2**63, 2**64 - 1]))], False, {1002, 1009}, set())


def ws_truncated(chance, world):
    text = ws_frame(ws_call(world), mask=noise(chance, 4))
    return Ws([text[:chance.randrange(1, len(text))]], True, CLOSE_CODES, set())


def ws_split(chance, world):
    text = ws_frame(ws_call(world), mask=noise(chance, 4))
    at = chance.randrange(1, len(text))
    return Ws([text[:at], text[at:]], False, set(), {0}, False)


def ws_bit_flipped(chance, world):
    return Ws([flipped(chance, ws_frame(ws_call(world)))])


def ws_random(chance, world):
    return Ws([noise(chance, chance.randrange(1, 600))])


def ws_rules(chance, world):
    text = ws_call(world)
    return chance.choice([
        Ws([ws_frame(text, mask=None)], False, {1002}, set()), Ws([ws_frame(text, opcode=2)], False, {1003}, set()),
        Ws([ws_frame(b"\xff\xfe")], False, {1007}, set()), Ws([ws_frame(b"[1]")], False, {1007}, set()),
        Ws([ws_frame(b'{"id":"","path":"sync"}')], False, {1007}, set()), Ws([ws_frame(b'{"id":"' + b"i" * 65 + b'","path":"sync"}')], False, {1007}, set()),
        Ws([ws_frame(b"", fin=False)] + [ws_frame(b"a", opcode=0, fin=False) * 1100], False, {1008}, set()),
        Ws([ws_frame(text, rsv=0x40)], False, {1002}, set()), Ws([ws_frame(text, opcode=3)], False, {1002}, set()),
        Ws([ws_frame(b"p" * 126, opcode=9)], False, {1002}, set()), Ws([ws_frame(b"\x03", opcode=8)], False, {1005}, set()),
        Ws([ws_frame(ws_call(world, "no/such", {}))], False, set(), {UNSUPPORTED}, False),
        Ws([ws_frame(ws_call(world, "sync", {"base": 5}))], False, set(), {INVALID}, False),
        Ws([ws_frame(ws_call(world, "sync", {}))], False, set(), {UNAUTHENTICATED}, False),
        Ws([ws_frame(ws_call(world, "identify", {"base": {"ticket": b64(noise(chance, 70))}}))], False, set(), {UNAUTHENTICATED}, False)])


# ---- the long link: 20-byte header of five big-endian numbers (its own length, client version, command, sequence, body
# length), then the body. Broken bytes may only end the link.

def mars(command, body, sequence=1, head=20, version=200, length=None):
    return struct.pack(">IIIII", head, version, command, sequence, len(body) if length is None else length) + body


def link_body(chance, world):
    return chance.choice([b"", b"\x01", b"\x00" * 20, noise(chance, chance.randrange(1, 300))])


def link_oversized(chance, world):
    length = chance.choice([0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 2**20 + 1])
    return Raw([mars(chance.choice([6, 101, 301, 401]), b"x", length=length, head=chance.choice([20, 20, 0xFFFFFFFF, 0, 19]))], False, set(), set())


def link_random(chance, world):
    return Raw([noise(chance, chance.randrange(1, 800))], True, set(), set())


def link_truncated(chance, world):
    text = mars(401, link_body(chance, world))
    return Raw([text[:chance.randrange(1, len(text))]], True, set(), set())


def link_bit_flipped(chance, world):
    return Raw([flipped(chance, mars(chance.choice([6, 401]), link_body(chance, world)))], True, set(), set())


def link_sealed(chance, world):
    """Behind a good hello nothing opens that was not sealed with the link's key; a bad hello ends the link at once."""
    hello = seal.Handshake(world.seal_key, noise(chance, 32)).hello
    number = chance.choice([bytes(8), b"\xff" * 8, noise(chance, 8)])
    garbage = b"\x01\x01\x03" + number + noise(chance, chance.choice([0, 15, 16, chance.randrange(17, 400)]))
    body = chance.choice([garbage, flipped(chance, garbage), garbage[:chance.randrange(len(garbage))], b"\x01\x00\x0a\x02\x28\x02", hello])
    if chance.random() < 0.3:
        bad = chance.choice([flipped(chance, hello[3:], 1), hello[3:-1], hello[3:] + b"x", bytes([chance.randrange(256)]) + bytes(48)])
        return Raw([mars(seal.CMD_SEAL, b"\x01\x01\x01" + bad)], False, set(), set())
    return Raw([mars(seal.CMD_SEAL, hello), mars(chance.choice([237, 301, 401, seal.CMD_SEAL]), body, 2)], False, set(), set())


HTTP = [http_oversized, http_truncated, http_split, http_bit_flipped, http_random, http_smuggled, http_wrong_door]
API = [json_fields, json_truncated, json_bit_flipped, json_random, json_oversized, tickets, refresh_tokens, snapshots, wrong_recipients,
       wrong_messages, names]
WS = [ws_oversized, ws_truncated, ws_split, ws_bit_flipped, ws_random, ws_rules]
LINK = [link_oversized, link_random, link_truncated, link_bit_flipped, link_sealed]
ALL = {f.__name__: (kind, f) for kind, group in (("http", HTTP), ("api", API), ("ws", WS), ("link", LINK)) for f in group}


# ---- the attack

class Socket:
    """A connection from an address of its own, so that limits by address see 64 people."""

    def __init__(self, loop, number, address):
        self.loop, self.buffer = loop, b""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: the port is chosen by connect.
        self.socket.bind(("127.0.1.%d" % (1 + number), 0))
        self.address = address

    async def open(self):
        await self.loop.sock_connect(self.socket, self.address)
        return self

    async def send(self, pieces):
        """False when the server had enough before the end."""
        try:
            for n, piece in enumerate(pieces):
                if n:
                    await asyncio.sleep(0)
                await self.loop.sock_sendall(self.socket, piece)
            return True
        except (ConnectionResetError, BrokenPipeError):
            return False

    def half_close(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    async def more(self):
        """False at the end."""
        try:
            data = await self.loop.sock_recv(self.socket, 65536)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    async def response(self):
        """(status, body) or None when the connection ended first."""
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end >= 0:
                head = self.buffer[:end].decode("latin-1")
                found = re.search(r"\r\ncontent-length: (\d+)", head, re.I)
                total = end + 4 + (int(found[1]) if found else 0)
                if len(self.buffer) >= total:
                    body, self.buffer = self.buffer[end + 4:total], self.buffer[total:]
                    return int(head.split(" ", 2)[1]), body
            if not await self.more():
                return None

    async def frame(self):
        """(opcode, payload) of the next WebSocket frame, or None at the end."""
        while True:
            data = self.buffer
            if len(data) >= 2:
                size, at = data[1] & 127, 2
                if size == 126:
                    size, at = int.from_bytes(data[2:4], "big"), 4
                elif size == 127:
                    size, at = int.from_bytes(data[2:10], "big"), 10
                if len(data) >= at + size and at <= len(data):
                    self.buffer = data[at + size:]
                    return data[0] & 15, data[at:at + size]
            if not await self.more():
                return None

    def close(self):
        self.socket.close()


def code_of(body):
    return json.loads(body).get("base", {}).get("code", 0)


async def raw(connection, case):
    whole = await connection.send(case.pieces)
    if case.half_close and whole:
        connection.half_close()
    answer = await connection.response()
    if answer is None:
        if not case.close_ok:
            raise Wrong("closed without an answer")
        return "closed"
    status, body = answer
    if status == 200 and case.codes is not None:
        code = code_of(body)
        if code not in case.codes and code != OVERLOADED:
            raise Wrong("code %d: %r" % (code, body[:200]))
        return "code %d" % code
    if status == 200 and b"hongyan-secrets" in body:
        raise Wrong("a secret was served")
    if status not in case.statuses:
        raise Wrong("status %d: %r" % (status, body[:100]))
    return "status %d" % status


async def api(connection, case):
    path, body, allowed = case
    if not await connection.send([request(path, body if isinstance(body, bytes) else body.encode())]):
        raise Wrong("closed while sending")
    answer = await connection.response()
    if answer is None:
        raise Wrong("closed without an answer")
    status, body = answer
    if status == BUSY and BUSY in allowed:
        return "status 503"
    if status != 200:
        raise Wrong("status %d: %r" % (status, body[:100]))
    code = code_of(body)
    sent = json.loads(body).get("sent", [])
    if code == 0 and sent:
        code = sent[0].get("code", 0)
    if code not in allowed and code != OVERLOADED:
        raise Wrong("code %d: %r" % (code, body[:300]))
    return "code %d" % code


HANDSHAKE = (b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             b"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n")


async def ws(connection, case):
    await connection.send([HANDSHAKE])
    answer = await connection.response()
    if answer is None or answer[0] != 101:
        raise Wrong("no link: %r" % (answer,))
    whole = await connection.send(case.pieces)
    if case.half_close and whole:
        connection.half_close()
    seen = "closed"
    while True:
        frame = await connection.frame()
        if frame is None:
            if not case.end:
                raise Wrong("ended without an answer")
            return seen
        opcode, payload = frame
        if opcode == 1:
            code = json.loads(payload).get("body", {}).get("base", {}).get("code", 0)
            if code not in case.codes and code != OVERLOADED:
                raise Wrong("code %d: %r" % (code, payload[:200]))
            seen = "code %d" % code
            if not case.end:
                return seen
        elif opcode == 8:
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005  # 1005: a close without a code.
            if code not in case.closes:
                raise Wrong("close %d %r" % (code, payload[2:]))
            return "close %d" % code


async def link(connection, case):
    whole = await connection.send(case.pieces)
    if case.half_close and whole:
        connection.half_close()
    while await connection.more():  # Answers may come before the end; each is one of the server's own frames.
        pass
    return "closed" if not connection.buffer else "answered, closed"


async def attack(world, name, count, seed):
    kind, make = ALL[name]
    address = tuple(world.long_link if kind == "link" else world.web)
    loop = asyncio.get_running_loop()
    tally, wrong = collections.Counter(), []
    left = iter(range(count))

    async def one(number):
        chance = random.Random(f"{seed} {name} {number}")
        kept = None
        for _ in left:
            case = make(chance, world)
            connection = kept
            try:
                async with asyncio.timeout(AT_ONCE_S):
                    if connection is None:
                        connection = await Socket(loop, number, address).open()
                    outcome = await {"http": raw, "api": api, "ws": ws, "link": link}[kind](connection, case)
                    tally[outcome] += 1
                    kept = connection if kind == "api" and outcome != "status 503" else None  # It closes behind that.
            except (Wrong, TimeoutError, OSError, ValueError) as error:
                what = "no answer at once" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
                tally["WRONG"] += 1
                if len(wrong) < 5:
                    wrong.append(f"{what} for {str(case)[:600]}")
                kept = None
            if kept is None and connection is not None:
                connection.close()
        if kept is not None:
            kept.close()

    await asyncio.gather(*(one(n) for n in range(CONNECTIONS)))
    return {"tally": dict(tally), "wrong": wrong}


def main():
    state, name, count, seed = sys.argv[1:]
    os.nice(5)  # The attackers of the world do not run on the server's two cores.
    load_commands()
    start = time.monotonic()
    result = asyncio.run(attack(World(json.loads(pathlib.Path(state).read_text())), name, int(count), seed))
    print(json.dumps({**result, "seconds": time.monotonic() - start}))


if __name__ == "__main__":
    main()

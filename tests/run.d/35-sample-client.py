#!/usr/bin/env python3
"""The sample client, written from docs/protocol.md alone, against the real server over the short and the long link."""
import http.client
import pathlib
import re
import socket
import struct
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
from protos import compile_protos  # noqa: E402
from web_client import Server, new_password  # noqa: E402


def read_frame(stream):
    head = stream.recv(20, socket.MSG_WAITALL)
    if len(head) < 20:
        return None
    length, version, number, seq, body = struct.unpack(">5I", head)
    return number, seq, version, stream.recv(body, socket.MSG_WAITALL) if body else b""


def chat(server, links):
    import hongyan_sample as sample
    print("the same account and the same answers on both links")
    name_a, name_b = ("anna", "bela") if links == ("long", "short") else ("cara", "dora")
    rings = threading.Semaphore(0)
    make = {"short": lambda: sample.ShortLink(server.ready["web"].removeprefix("http://")),
            "long": lambda: sample.LongLink(server.ready["long_link"], lambda ring: rings.release())}
    password = new_password()
    a, b = sample.Client(make[links[0]]()), sample.Client(make[links[1]]())
    a.register(name_a, password, "A")
    b.register(name_b, password, "B 鸿")
    try:
        a.send(b.uin, "too early")
        raise AssertionError("strangers may not write")
    except sample.Refused as refused:
        assert refused.code == 105, refused
    a.ask("friend/add", uin=b.uin, greeting="hi")
    b.ask("friend/accept", uin=a.uin)
    for client in (a, b):
        client.sync()
    texts = [f"line {n} 鸿雁" for n in range(20)]
    for n, text in enumerate(texts):
        (a if n % 2 == 0 else b).send((b if n % 2 == 0 else a).uin, text)
    once = a.send(b.uin, "once", "id-1")
    assert a.send(b.uin, "once", "id-1").key == once.key
    for client in (a, b):
        client.sync()
        assert [m.content.decode() for m in client.messages] == texts + ["once"], client.messages
        assert client.sync() == []
    same = sample.Client(make[links[1]]())
    same.login(name_a, password)
    same.sync()
    assert {m.key for m in same.messages} == {m.key for m in a.messages}

    print("news arrive by themselves: rings on the long link, polls on the short one")
    on_long, on_short = (a, b) if links[0] == "long" else (b, a)
    while rings.acquire(blocking=False):
        pass
    on_short.send(on_long.uin, "ring!")
    assert rings.acquire(timeout=10), "no ring"
    assert on_long.sync()[-1].content == b"ring!"
    on_short.sync()
    poll = threading.Thread(target=lambda: answers.append(on_short.poll(20000)))
    answers = []
    poll.start()
    on_long.send(on_short.uin, "poll!")
    poll.join(15)
    assert answers and answers[0], "the poll did not see it"
    assert on_short.sync()[-1].content == b"poll!"

    print("after a logout the link ends")
    on_long.ask("logout")
    assert on_long.link.closed.wait(10)
    for client in (a, b, same):
        client.link.close()


def mars(server):
    print("a mars client's bytes: noop, coalesced frames, options, its own HTTP request")
    host, _, port = server.ready["long_link"].rpartition(":")
    stream = socket.create_connection((host, int(port)), timeout=10)
    stream.sendall(struct.pack(">5I", 20, 200, 6, 0xFFFFFFFF, 0))
    assert read_frame(stream) == (6, 0xFFFFFFFF, 200, b"")
    request = struct.pack(">5I", 24, 200, 401, 101, 2) + b"opts" + b"\x01\x00"
    stream.sendall(request + request[:10])
    number, seq, version, body = read_frame(stream)
    assert (number, seq, version, body[:4]) == (401, 101, 200, b"\x01\x00\x0a" + body[3:4]) and b"\x08\x06" in body, body
    stream.sendall(request[10:] + struct.pack(">5I", 20, 200, 301, 102, 0xFFFFFFFF))
    assert read_frame(stream)[1] == 101
    assert read_frame(stream) is None, "a broken frame must close the link"
    page = (ROOT / "docs/protocol.md").read_text()
    heartbeat, sync = (bytes.fromhex(line) for line in re.findall(r"^    (00000014 [0-9a-f ]+)$", page, re.MULTILINE)[:2])
    stream = socket.create_connection((host, int(port)), timeout=10)
    stream.sendall(heartbeat + sync)
    assert read_frame(stream) == (6, 0xFFFFFFFF, 200, b"")
    number, seq, version, body = read_frame(stream)
    assert (number, seq, version) == (401, 1, 200) and body[4:].startswith(b"\x08\x06\x10\x03\x1a\x09no ticket\x30"), body.hex()
    for _ in range(50):
        socket.create_connection((host, int(port)), timeout=10).close()

    web = server.ready["web"].removeprefix("http://").rpartition(":")
    short = socket.create_connection((web[0], int(web[2])), timeout=10)
    short.sendall(b"POST /s/sync HTTP/1.1\r\nAccept: */*\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Length: 2\r\n"
                  b"Content-Type: application/octet-stream\r\nHost: short.example\r\nUser-Agent: MicroMessenger Client\r\n\r\n\x01\x00")
    answer = http.client.HTTPResponse(short)
    answer.begin()
    assert answer.status == 200 and answer.getheader("Content-Length") and answer.read()[:2] == b"\x01\x00"
    assert short.recv(1) == b"", "Connection: close"


def main():
    source = ROOT / "clients/sample_python/hongyan_sample.py"
    assert len(source.read_text().splitlines()) <= 300
    with compile_protos(), Server() as server:
        sys.path.insert(0, str(source.parent))
        chat(server, ("long", "short"))
        chat(server, ("short", "long"))
        mars(server)
        assert server.stop() == 0, server.output[-5:]
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()

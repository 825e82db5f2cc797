#!/usr/bin/env python3
"""What an idle client costs hongyan-server in memory: WebSocket links that have said who they are, requests of long
polling that wait, and HTTP connections between two requests, each with and without parking (park_after_seconds).

    python3 bench/idle_clients.py [--clients N] [--program build/bin/hongyan-server]

Prints resident bytes of the server for each client: after they have come to rest less before they came. The clients are
sockets of this process and their accounts are made by it. Nothing here is a floor."""
import argparse
import base64
import http.client
import json
import os
import pathlib
import resource
import shutil
import socket
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
import web_client  # noqa: E402
from web_client import Client, Server, new_password  # noqa: E402

LINKS_OF_DEVICE, POLLS_OF_DEVICE, DEVICES_OF_USER = 16, 4, 16
SETTINGS = {"PASSWORD_MEMORY_MIB": 8, "PASSWORD_PASSES": 1, "LIMITS_ANONYMOUS_PER_SECOND": 1000, "LIMITS_ANONYMOUS_BURST": 10000,
            "LIMITS_REQUESTS_PER_SECOND": 10000, "LIMITS_REQUESTS_BURST": 10000, "LOG_LEVEL": "error", "WEB_CONNECTIONS_MAX": 100000}
REST_S = 4  # More than the time to be parked, less than the time between pings.


def resident(server):
    return int(pathlib.Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def devices(server, count):
    made = []
    while len(made) < count:
        user = Client(server, f"user{len(made)}", new_password()).register()
        made.append(user)
        for _ in range(min(DEVICES_OF_USER, count + 1 - len(made)) - 1):
            made.append(Client(server, user.user_name, user.password).login())
    for device in made:
        device.connection.close()
    return made


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def read_until(stream, end):
    got = b""
    while end not in got:
        part = stream.recv(4096)
        assert part, got
        got += part
    return got


def web_socket(server, device):
    stream = connect(server)
    stream.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   b"Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)) + b"\r\n\r\n")
    assert b" 101 " in read_until(stream, b"\r\n\r\n")
    base = {"ticket": device.ticket, "deviceId": device.device_id, "featureLevel": 2}
    text = json.dumps({"id": "1", "path": "identify", "body": {"base": base}}).encode()
    stream.sendall(bytes([0x81, 0x80 | 126]) + len(text).to_bytes(2, "big") + bytes(4) + text)  # A mask of zeros.
    answer = read_until(stream, b"heartbeat")
    assert b'"code"' not in answer, answer
    return stream


def post(stream, path, body):
    data = json.dumps(body).encode()
    stream.sendall(f"POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
                   .encode() + data)


def long_poll(server, device):
    stream = connect(server)
    base = {"ticket": device.ticket, "deviceId": device.device_id, "featureLevel": 2}
    post(stream, "poll", {"base": base, "snapshot": device.snapshot, "waitMs": 50000})
    return stream


def http_idle(server, _):
    stream = connect(server)
    stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 200 " in read_until(stream, b"ok")
    return stream


def measure(kind, clients, park_s, of_device, options):
    folder = tempfile.mkdtemp(prefix="hongyan-idle-")
    environment = {f"HONGYAN_{key}": str(value) for key, value in (SETTINGS | {"PARK_AFTER_SECONDS": park_s}).items()}
    os.environ.update(environment)
    with Server(data=folder) as server:
        known = devices(server, clients // of_device if of_device else 1)
        if kind is long_poll:
            for device in known:
                device.sync()
                device.connection.close()
        warm = [kind(server, known[i % len(known)]) for i in range(min(32, clients // 10))]
        time.sleep(REST_S)
        before = resident(server)
        streams = []
        for i in range(clients - len(warm)):
            streams.append(kind(server, known[(i + len(warm)) // (of_device or clients) % len(known)]))
        time.sleep(REST_S)
        after = resident(server)
        parked = server.metrics().get("hongyan_coroutines_parked")
        for stream in warm + streams:
            stream.close()
    shutil.rmtree(folder)
    return (after - before) / len(streams), parked


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--clients", type=int, default=2048)
    words.add_argument("--program", type=pathlib.Path, default=ROOT / "build/bin/hongyan-server")
    options = words.parse_args()
    web_client.SERVER = options.program
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kinds = [("WebSocket link", web_socket, LINKS_OF_DEVICE), ("waiting long poll", long_poll, POLLS_OF_DEVICE),
             ("HTTP connection", http_idle, 0)]
    for name, kind, of_device in kinds:
        clients = options.clients if kind is not long_poll else options.clients // 4
        plain, _ = measure(kind, clients, 0, of_device, options)
        parked, _ = measure(kind, clients, 1, of_device, options)
        print(f"{name:<20} {clients:>6} clients   {plain:8.0f} bytes each   parked {parked:8.0f}   ratio {parked / plain:.2f}", flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The server on io_uring (runtime.io = "uring"): it starts wherever the kernel refuses that, and where it does not, two people
chat as they do with epoll (10-two-people-chat.py)."""
import ctypes
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from web_client import Client, Server, new_password  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
IO_URING_SETUP = 425  # The same on every processor.


def has_io_uring():
    libc = ctypes.CDLL(None, use_errno=True)
    ring = libc.syscall(IO_URING_SETUP, 1, ctypes.create_string_buffer(120))
    if ring >= 0:
        os.close(ring)
    return ring >= 0


def rings_of(process):
    folder = pathlib.Path(f"/proc/{process.pid}/fd")
    names = []
    for entry in folder.iterdir():
        try:
            names.append(os.readlink(entry))
        except FileNotFoundError:  # Closed meanwhile.
            pass
    return sum("io_uring" in name for name in names)


def main():
    os.environ["HONGYAN_RUNTIME_IO"] = "uring"
    with Server() as server:
        Client(server, "alice", new_password()).register("Alice")
        if not has_io_uring():
            assert rings_of(server.process) == 0
            print("skipped: no io_uring; the server uses epoll instead\n1 passed, 0 failed")
            return
        assert rings_of(server.process) == 1
    chat = subprocess.run([HERE / "10-two-people-chat.py"], capture_output=True, text=True)
    if chat.returncode != 0:
        sys.exit(f"the chat over io_uring failed:\n{chat.stdout}{chat.stderr}")
    print("2 passed, 0 failed")


main()

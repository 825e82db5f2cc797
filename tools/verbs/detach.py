"""Starts the server in the background: detach.py DATA SERVER [options]. Returns when it is ready, or with its failure.

What the server prints until then (secrets among it, printed once) goes through a private file that is removed at once,
so that it reaches the terminal and nothing else; its log goes to DATA/server.log.
"""
import os
import pathlib
import subprocess
import sys
import time

READY_SECONDS_MAX = 120  # Recovery of a large store after a crash reads its whole write-ahead log.


def main(data, command):
    data = pathlib.Path(data)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    printed = data / f".start-{os.getpid()}"
    descriptor = os.open(printed, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    log = os.open(data / "server.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    try:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=log, start_new_session=True)
        (data / "server.pid").write_text(f"{server.pid}\n")
        deadline = time.monotonic() + READY_SECONDS_MAX
        shown = 0
        while True:
            ended = server.poll()
            text = printed.read_bytes()
            complete = text.rfind(b"\n") + 1
            if complete > shown:
                sys.stdout.buffer.write(text[shown:complete])
                sys.stdout.flush()
                shown = complete
            if any(line.startswith(b"ready ") for line in text[:complete].splitlines()):
                return 0
            if ended is not None:
                tail = (data / "server.log").read_text(errors="replace").splitlines()[-20:]
                print("\n".join(tail), file=sys.stderr)
                print(f"hongyan: the server ended before it was ready (exit {ended})", file=sys.stderr)
                return ended if ended > 0 else 1
            if time.monotonic() > deadline:
                server.terminate()
                print(f"hongyan: not ready after {READY_SECONDS_MAX} s; see {data}/server.log", file=sys.stderr)
                return 1
            time.sleep(0.05)
    finally:
        printed.unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

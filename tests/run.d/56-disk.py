#!/usr/bin/env python3
"""A full disk, a read-only one, a data directory that somebody else has, files that are not ours: the server says so in
words, reads go on, nothing that was acknowledged is lost, and writing resumes by itself when there is space again."""
import base64
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from web_client import SERVER, Client, Refused, Server, Unreached, befriend, new_password  # noqa: E402

NO_SPACE, READ_ONLY = 12, 19
DISK_MIB = 160


def start_fails(*arguments):
    """(exit status, what it said) of a start that must not succeed."""
    done = subprocess.run([str(SERVER), "--port", "0", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert "ready {" not in done.stdout, "it started"
    assert done.returncode == 1, (done.returncode, done.stderr)
    return done.stderr


def mount(*arguments):
    return subprocess.run(["mount", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Disk:
    """A small file system of memory."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder)
        self.path.mkdir()

    def __enter__(self):
        mount("-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", self.path)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", str(self.path)])

    def remount(self, how):
        done = mount("-o", f"remount,{how}", self.path)
        assert done.returncode == 0, done.stdout

    def fill(self):
        """Leaves not a byte."""
        with open(self.path / "ballast", "ab", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(65536))
            except OSError:
                pass
            try:
                while True:
                    ballast.write(bytes(1))
            except OSError:
                pass

    def free(self):
        (self.path / "ballast").unlink()


def heard_by(server, person, peer):
    """All that a fresh device finds of a conversation, the oldest first."""
    fresh = Client(server, person.user_name, person.password).login()
    page, before = [], "0"
    while True:
        answer = fresh.call("history", {"conversation": {"type": 1, "id": peer.uin}, "beforePosition": before, "limit": 100})
        page += answer.get("messages", [])
        if not answer.get("more"):
            return [m["digest"] for m in reversed(page) if m["kind"] == 1]
        before = page[-1]["position"]


def gone(server):
    """Why a server that should live does not answer."""
    try:
        code = server.process.wait(10)
    except subprocess.TimeoutExpired:
        return "it runs but does not answer"
    return f"the server ended with {code}:\n" + server.process.stdout.read()[-3000:]


def check(found, acked):
    """All that was acknowledged, once, in its order. What was refused may be there too: its client sends it again with
    the same id, and the first half of a send may have been done."""
    lost = [text for text in acked if text not in found]
    assert not lost, f"acknowledged, then lost: {lost[:5]}, {len(lost)} of {len(acked)}"
    assert len(found) == len(set(found)), "doubled"
    assert [text for text in found if text in set(acked)] == acked, "another order"


def in_order(person, acked):
    check([m["digest"] for m in person.messages if m["kind"] == 1], acked)


def full_disk(folder):
    print("a full disk")
    with Disk(f"{folder}/full") as disk, Server(data=disk.path / "data", options=["--config", f"{folder}/fast.toml"]) as server:
        anna, boris = (Client(server, name, new_password()).register() for name in ("anna", "boris"))
        befriend(anna, boris)
        boris.sync()
        acked = []

        for n in range(30):
            anna.send(boris.uin, f"before {n}")
            acked.append(f"before {n}")
        for turn in range(3):
            disk.fill()
            codes = []
            for n in range(4000):  # What RocksDB has reserved in its log is used up first.
                text = f"full {turn}.{n} " + "x" * 40
                try:
                    anna.send(boris.uin, text, content=big())
                    acked.append(text)
                except Unreached as error:
                    raise AssertionError(gone(server)) from error
                except Refused as refused:
                    codes.append((refused.code, refused.error_class))
                    if len(codes) == 20:
                        break
            assert len(codes) == 20 and set(codes) == {(NO_SPACE, 2)}, (turn, set(codes), len(codes))
            boris.sync()
            in_order(boris, acked)
            assert anna.call("profile/get")["profile"]["uin"] == anna.uin
            assert anna.call("contact/list").get("contacts"), "the contacts can't be read"
            assert server.process.poll() is None
            disk.free()
            start = time.monotonic()
            while True:
                try:
                    anna.send(boris.uin, f"after {turn}")
                    acked.append(f"after {turn}")
                    break
                except Refused as refused:
                    assert refused.code == NO_SPACE and time.monotonic() - start < 30, refused
                    time.sleep(0.2)
            print(f"  turn {turn}: {len(acked)} acknowledged so far; writing again {time.monotonic() - start:.1f} s after space was freed")
        codes = set()
        for n in range(8000):  # And now by what it stores itself.
            try:
                anna.send(boris.uin, f"growing {n}", content=big())
                acked.append(f"growing {n}")
            except Refused as refused:
                codes.add(refused.code)
                break
        assert codes == {NO_SPACE} and len(acked) > 300, (codes, len(acked))
        disk.remount(f"size={3 * DISK_MIB}m")
        time.sleep(1)
        anna.send(boris.uin, "on a larger disk")
        acked.append("on a larger disk")
        print(f"  filled by its own {len(acked)} messages, then given more room")
        boris.sync()
        in_order(boris, acked)
        server.kill()
        server.start()
        for person, peer in ((anna, boris), (boris, anna)):
            found = heard_by(server, person, peer)
            check(found, acked)
            print(f"  after kill -9: {len(found)} messages, {len(found) - len(acked)} of them refused with no_space but kept")
        assert server.stop() == 0

        disk.fill()
        said = start_fails("--data", disk.path / "new")
        assert str(disk.path / "new") in said and "No space left" in said, said
        disk.free()


def big():
    """Content of 24 KiB, so that little space is used up soon."""
    return base64.b64encode(os.urandom(12_000).hex().encode()).decode()


def read_only(folder):
    print("a read-only disk")
    with Disk(f"{folder}/ro") as disk:
        with Server(data=disk.path / "data") as server:
            anna, boris = (Client(server, name, new_password()).register() for name in ("anna", "boris"))
            befriend(anna, boris)
            anna.send(boris.uin, "before")
            assert server.stop() == 0
            disk.remount("ro")
            said = start_fails("--data", disk.path / "data")
            assert str(disk.path / "data") in said and "Read-only file system" in said, said
            disk.remount("rw")
            server.start()
            boris.sync()
            assert [m["digest"] for m in boris.messages if m["kind"] == 1] == ["before"]
    said = start_fails("--data", "/proc/hongyan")
    assert "/proc/hongyan" in said, said


def somebody_elses(folder):
    print("a second server on the same data, and data that are none")
    with Server(data=f"{folder}/shared") as server:
        said = start_fails("--data", server.data)
        assert str(server.data) in said and "another server" in said, said
        anna = Client(server, "anna", new_password()).register()  # The first has noticed nothing.
        anna.sync()
        assert (server.data / "server.json").exists(), "the second one took the first one's announcement with it"
        server.kill()
        server.start()  # A lock does not outlive its process.
        anna.sync()
        assert server.stop() == 0
    store = pathlib.Path(folder) / "shared/store"
    kept = (store / "FORMAT").read_text()
    (store / "FORMAT").write_text("hongyan-store 99 rocks\n")
    said = start_fails("--data", store.parent)
    assert "99" in said and str(store) in said and "newer" in said, said
    (store / "FORMAT").write_text(kept)
    secrets = store.parent / "secrets"
    good = secrets.read_text()
    secrets.write_text(good[:-40])
    said = start_fails("--data", store.parent)
    assert "secrets" in said, said
    secrets.write_text(good)
    with Server(data=store.parent) as server:
        Client(server, anna.user_name, anna.password).login().sync()
        assert server.stop() == 0
    plain = pathlib.Path(folder) / "plain-file"
    plain.write_text("not a directory")
    assert str(plain) in start_fails("--data", plain)


def main():
    passed = 1
    with tempfile.TemporaryDirectory(prefix="hongyan-disk-") as folder:
        pathlib.Path(f"{folder}/fast.toml").write_text("[limits]\nrequests_per_second = 100000\nrequests_burst = 100000\n")
        probe = pathlib.Path(folder) / "probe"
        probe.mkdir()
        if mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", probe).returncode == 0:
            subprocess.run(["umount", str(probe)])
            full_disk(folder)
            read_only(folder)
            passed += 2
        else:
            print("*** SKIPPED: the full and the read-only disk. They need a file system of their own: run as root. ***")
        somebody_elses(folder)
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()

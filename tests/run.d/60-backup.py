#!/usr/bin/env python3
"""Backup and restore of the real server: what was acked before the backup is there again, devices are told of the gap
and keep their history, new messages flow once, and no copy is made of or over what it must not."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from web_client import SERVER, Client, Refused, Server, befriend, new_password  # noqa: E402


def tool(*words):
    done = subprocess.run([str(SERVER), *map(str, words)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def refused(part, *words):
    code, text = tool(*words)
    assert code == 1 and part in text, (code, text)


def once_each(device):
    """Texts by message key: what a client that keeps messages by key shows."""
    shown = {}
    for message in device.messages:
        shown.setdefault(message["key"], message["digest"])
    return list(shown.values())


def history(device, peer):
    page = device.call("history", {"conversation": {"type": 1, "id": peer.uin}, "limit": 100})["messages"]
    return [m["digest"] for m in reversed(page)]


def main():
    work = pathlib.Path(tempfile.mkdtemp(prefix="hongyan-backup-"))
    try:
        run(work)
    finally:
        shutil.rmtree(work)
    print("1 passed, 0 failed")


def run(work):
    data, copy = work / "data", work / "copy"
    server = Server(data)
    with server:
        alice = Client(server, "alice", new_password()).register()
        bob = Client(server, "bob", new_password()).register()
        befriend(alice, bob)
        for device in (alice, bob):
            device.sync()
        for n in range(20):
            alice.send(bob.uin, f"before {n}")
        for device in (alice, bob):
            device.sync()
        print("a data directory in use is not copied")
        refused("./hongyan down", "backup", "--data", data, "--to", copy)
        assert not copy.exists()
        assert server.stop() == 0

    print("a backup is whole or not there, and nothing is overwritten")
    assert tool("backup", "--data", data, "--to", copy)[0] == 0
    refused("there already", "backup", "--data", data, "--to", copy)
    refused("no data directory", "backup", "--data", work / "nothing", "--to", work / "other")
    refused("no backup", "restore", "--from", work, "--data", work / "other")
    refused("there already", "restore", "--from", copy, "--data", data)
    assert copy.stat().st_mode & 0o077 == 0 and (copy / "secrets").stat().st_mode & 0o077 == 0
    assert not list(work.glob("*.part")) and not (data / "backup.part").exists()
    shared = {f.stat().st_ino for f in data.rglob("*") if f.is_file()} & {f.stat().st_ino for f in copy.rglob("*") if f.is_file()}
    assert not shared, "the backup shares files with the data"

    print("the chat goes on; then the disk is lost")
    with server:
        for n in range(10):
            alice.send(bob.uin, f"lost {n}")
        lost_id = "an-id-that-is-lost"
        alice.send(bob.uin, "lost and sent again", lost_id)
        bob.sync()
        alice.sync()
        late = Client(server, "bob", bob.password).login()  # A device the backup has never heard of.
        late.sync()
        assert server.stop() == 0
    seen_before = list(once_each(bob))
    assert len(seen_before) == 31
    shutil.rmtree(data)

    print("a damaged backup is refused by name, and leaves nothing behind")
    for victim in ("secrets", "store/FORMAT"):
        damaged = work / "damaged"
        shutil.copytree(copy, damaged)
        content = bytearray((damaged / victim).read_bytes())
        content[len(content) // 2] ^= 1
        (damaged / victim).write_bytes(content)
        refused(victim, "restore", "--from", damaged, "--data", data)
        (damaged / victim).unlink()
        refused(victim, "restore", "--from", damaged, "--data", data)
        assert not data.exists() and not list(work.glob("*.part"))
        shutil.rmtree(damaged)
    climbing = work / "climbing"
    shutil.copytree(copy, climbing)
    lines = (climbing / "manifest").read_text().splitlines()
    hash_, size, _ = lines[1].split(" ", 2)
    (climbing / "manifest").write_text("\n".join([lines[0], f"{hash_} {size} ../outside", *lines[2:]]) + "\n")
    refused("line 2", "restore", "--from", climbing, "--data", data)
    (climbing / "manifest").write_text("\n".join(["hongyan-backup 2", *lines[1:]]) + "\n")
    refused("newer version", "restore", "--from", climbing, "--data", data)

    assert tool("restore", "--from", copy, "--data", data)[0] == 0
    with server:
        print("devices are told of the gap, and keep what they have")
        for device in (alice, bob):
            resets = device.resets
            device.sync()
            assert device.resets == resets + 1, "a device was not told that the server went back"
        assert once_each(bob)[:31] == seen_before, "history was lost at the client"
        try:
            late.sync()
            raise AssertionError("a session that the backup does not know was accepted")
        except Refused as error:
            assert error.error_class == 3, error
        lost_ticket = late.ticket
        late.login()
        late.sync()

        print("a ticket of the lost time ends no session of the new one, however often the device has logged in")
        for _ in range(4):
            kept, late.ticket = late.ticket, lost_ticket
            for path in ("sync", "logout", "device/list"):
                try:
                    late.call(path, {})
                    raise AssertionError(f"{path}: a session that a restore has undone is served")
                except Refused as error:
                    assert error.error_class == 3, error
            late.ticket = kept
            late.sync()
            late.login()

        print("new messages arrive once, also one that is sent again under its id")
        alice.send(bob.uin, "lost and sent again", lost_id)
        for n in range(10):
            alice.send(bob.uin, f"after {n}")
            bob.send(alice.uin, f"reply {n}")
        for device in (alice, bob, late):
            device.sync()
        new = [t for n in range(10) for t in (f"after {n}", f"reply {n}")]
        assert once_each(bob) == seen_before + new, once_each(bob)[31:]
        assert [m["key"] for m in late.messages] == list(dict.fromkeys(m["key"] for m in late.messages)), "doubled"
        expected = [f"before {n}" for n in range(20)] + ["lost and sent again"] + new
        for device in (alice, bob, late):
            assert history(device, bob if device is alice else alice) == expected
        resets = bob.resets
        assert bob.sync() == [] and bob.resets == resets, "a second sync is quiet"
        assert server.stop() == 0


if __name__ == "__main__":
    main()

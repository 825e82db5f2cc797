#!/usr/bin/env python3
"""A data directory that an earlier version wrote opens in this one with all it holds, works on, and one of a newer
format is refused untouched."""
import base64
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
from web_client import SERVER, Client, Server  # noqa: E402

FIXTURE = ROOT / "tests/fixtures/data-02"


def history(device, kind, peer):
    """All texts of a conversation, oldest first, over pages."""
    page, before = [], "0"
    while True:
        answer = device.call("history", {"conversation": {"type": kind, "id": peer}, "beforePosition": before, "limit": 10})
        page += answer.get("messages", [])
        if not answer.get("more"):
            return [base64.b64decode(m.get("content", "")).decode() for m in reversed(page) if m["kind"] == 1]
        before = page[-1]["position"]


def check_contents(server, known):
    people = {name: Client(server, name, password).login() for name, password in known["passwords"].items()}
    for name, person in people.items():
        assert person.uin == known["uins"][name]
        person.sync()
    anna, boris, carla = (people[name] for name in ("anna", "boris", "carla"))
    assert anna.contacts[boris.uin]["state"] == 1 and anna.contacts[boris.uin]["remark"] == known["remark"]
    assert carla.contacts[anna.uin]["state"] == 1 and carla.contacts[anna.uin]["profile"]["nickname"] == "Anna"
    for person, peer in ((anna, boris), (boris, anna)):
        assert history(person, 1, peer.uin) == known["direct"], history(person, 1, peer.uin)
    for person in people.values():
        assert history(person, 2, known["group"]) == known["grouped"], history(person, 2, known["group"])
    states = {s["conversation"]["id"]: s for s in anna.call("conversation/list", {"limit": 10})["conversations"]}
    assert states[boris.uin].get("unread", 0) == known["anna_unread_of_boris"] > 0
    states = {s["conversation"]["id"]: s for s in boris.call("conversation/list", {"limit": 10})["conversations"]}
    assert states[anna.uin].get("unread", 0) == 0, "a read mark was lost"
    group = anna.call("group/get", {"group": known["group"]})["group"]
    assert group["name"] == known["group_name"] and group["memberCount"] == 3
    return anna, boris


def main():
    known = json.loads((FIXTURE / "contents.json").read_text())
    work = pathlib.Path(tempfile.mkdtemp(prefix="hongyan-fixture-"))
    try:
        data = work / "data"
        shutil.copytree(FIXTURE / "data", data)
        with Server(data) as server:
            print("all that was written is there")
            anna, boris = check_contents(server, known)
            print("and the chat goes on")
            anna.send(boris.uin, "after the upgrade")
            boris.sync()
            assert boris.texts()[-1] == "after the upgrade"
            assert server.stop() == 0
        print("a newer format is refused, and not touched")
        (data / "store/FORMAT").write_text("hongyan-store 2 rocks\n")
        before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
        done = subprocess.run([str(SERVER), "--data", str(data), "--port", "0"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "hongyan-store 2 rocks" in done.stderr and "newer" in done.stderr, done
        assert before == {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    finally:
        shutil.rmtree(work)
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()

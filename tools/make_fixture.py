#!/usr/bin/env python3
"""Writes tests/fixtures/data-02 anew, through the real server: `tools/make_fixture.py` after a build.

Only for as long as the format of rows has not been released: once a release has written data, its fixture stays as it
is for ever, and newer versions must open it. tests/run.d/70-fixture.py says what is in it; contents.json is written
here for it, so that both agree.
"""
import json
import pathlib
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
from web_client import Client, Server, befriend  # noqa: E402

FIXTURE = ROOT / "tests/fixtures/data-02"
# Of accounts that exist in this directory only.
PASSWORDS = {"anna": "fixture-anna-02", "boris": "fixture-boris-02", "carla": "fixture-carla-02"}
BYTES_MAX = 300 * 1024
MINE_ALONE = ("LOG", "LOCK", "lock", "server.json")  # Of the process that ran, not data.


def chat(people, group, start, count):
    """Lines both ways and into the group; gives (direct, group) texts in order."""
    direct, grouped = [], []
    for n in range(start, start + count):
        sender, receiver = (people["anna"], people["boris"]) if n % 2 == 0 else (people["boris"], people["anna"])
        direct.append(f"line {n} 你好 🪿")
        sender.send(receiver.uin, direct[-1])
        speaker = list(people.values())[n % 3]
        grouped.append(f"group line {n} of {speaker.user_name}")
        speaker.send(group, grouped[-1])
    return direct, grouped


def fill(data):
    server = Server(data)
    with server:
        people = {name: Client(server, name, password).register(name.capitalize()) for name, password in PASSWORDS.items()}
        anna, boris, carla = people.values()
        befriend(anna, boris)
        befriend(anna, carla)
        anna.call("contact/set", {"uin": boris.uin, "remark": "Boris of the fixture", "fields": ["remark"]})
        group = anna.call("group/create", {"clientGroupId": "fixture-group", "name": "Wild geese",
                                            "members": [boris.uin, carla.uin]})["group"]["id"]
        direct, grouped = chat(people, group, 0, 12)
        assert server.stop() == 0
    # Opening it again moves what the log holds into table files; what comes now stays in the log.
    server = Server(data)
    with server:
        for person in people.values():
            person.server, person.connection = server, None
        more = chat(people, group, 12, 6)
        direct, grouped = direct + more[0], grouped + more[1]
        boris.sync()
        state = boris.call("conversation/list", {"limit": 10})["conversations"]
        mine = next(s for s in state if s["conversation"]["id"] == anna.uin)
        boris.call("read", {"conversation": mine["conversation"], "position": mine["lastPosition"]})
        anna_state = anna.call("conversation/list", {"limit": 10})["conversations"]
        unread = next(s for s in anna_state if s["conversation"]["id"] == boris.uin)["unread"]
        assert server.stop() == 0
    return {"passwords": PASSWORDS, "uins": {name: person.uin for name, person in people.items()}, "group": group,
            "group_name": "Wild geese", "remark": "Boris of the fixture", "direct": direct, "grouped": grouped,
            "anna_unread_of_boris": unread}


def main():
    data = pathlib.Path(tempfile.mkdtemp(prefix="hongyan-fixture-")) / "data"
    contents = fill(data)
    for path in data.rglob("*"):
        if path.is_file() and (path.name in MINE_ALONE or path.name.startswith("LOG.old")):
            path.unlink()
    options = sorted((data / "store/rocks").glob("OPTIONS-*"))
    for old in options[:-1]:
        old.unlink()
    size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
    assert size < BYTES_MAX, f"{size} bytes: too much for a repository"
    if FIXTURE.exists():
        shutil.rmtree(FIXTURE / "data", ignore_errors=True)
    FIXTURE.mkdir(parents=True, exist_ok=True)
    shutil.move(data, FIXTURE / "data")
    (FIXTURE / "contents.json").write_text(json.dumps(contents, ensure_ascii=False, indent=1) + "\n")
    print(f"wrote {FIXTURE.relative_to(ROOT)}: {size} bytes")


if __name__ == "__main__":
    main()

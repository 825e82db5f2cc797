#!/usr/bin/env python3
"""Groups over the real server: create, rename, add, remove, leave, admins, unread, history, two devices, a fresh device,
a group that is muted; then
kill -9 again and again while everybody talks: nothing acked is lost, nothing is doubled, one order for all."""
import os
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from web_client import Client, Server, Refused, Unreached, befriend, expect_code, new_password  # noqa: E402

FORBIDDEN, NOT_FRIEND, NOT_MEMBER, REUSED, OWNER_MUST_STAY = 7, 105, 108, 107, 116
KILLS = 20 if os.environ.get("HY_LONG") else 5
GROUP = 2


def wait_for(person, texts, group, limit_s=20):
    """Fan-out comes after the ack: syncs until the group's texts are these."""
    limit = time.monotonic() + limit_s
    while True:
        try:
            person.sync()
        except Unreached:
            pass
        seen = person.texts(group)
        if seen == texts or time.monotonic() > limit:
            assert seen == texts, (person.user_name, len(seen), len(texts), seen[-3:], texts[-3:])
            return
        time.sleep(0.02)


def history(person, group):
    found, before = [], "0"
    while True:
        answer = person.call("history", {"conversation": {"type": GROUP, "id": group}, "beforePosition": before, "limit": 100})
        found += answer.get("messages", [])
        if not answer.get("more"):
            return list(reversed(found))
        before = found[-1]["position"]


def state_of(person, group):
    listed = person.call("conversation/list", {"limit": 50})["conversations"]
    return next(s for s in listed if s["conversation"]["id"] == group)


def rights_and_membership(server, ann, ben, cid, eve):
    print("who may do what")
    expect_code(NOT_FRIEND, ann.call, "group/create", {"clientGroupId": "g0", "name": "no", "members": [eve.uin]})
    create = {"clientGroupId": "g1", "name": "鸿雁 friends", "members": [ben.uin]}
    group = ann.call("group/create", create)["group"]
    gid = group["id"]
    assert group["memberCount"] == 2 and group["owner"] == ann.uin
    assert {m["profile"]["nickname"] for m in group["members"]} == {"ann", "ben"}
    assert ann.call("group/create", create)["group"]["id"] == gid, "not idempotent"
    expect_code(NOT_MEMBER, cid.send, gid, "let me in")
    expect_code(NOT_MEMBER, cid.call, "group/get", {"group": gid})
    expect_code(NOT_MEMBER, cid.call, "history", {"conversation": {"type": GROUP, "id": gid}})
    expect_code(FORBIDDEN, ben.call, "group/rename", {"group": gid, "name": "mine"})
    assert ann.call("group/rename", {"group": gid, "name": "three of us"})["group"]["name"] == "three of us"
    expect_code(FORBIDDEN, ben.call, "group/remove", {"group": gid, "members": [ann.uin]})

    print("what was said before somebody came is not theirs")
    ann.send(gid, "before cid")
    expect_code(NOT_FRIEND, ann.call, "group/add", {"group": gid, "members": [eve.uin]})
    assert ann.call("group/add", {"group": gid, "members": [cid.uin]})["group"]["memberCount"] == 3
    texts = []
    for n in range(30):
        person = (ann, ben, cid)[n % 3]
        text = f"line {n} of {person.user_name}"
        person.send(gid, text)
        texts.append(text)
    same = cid.send(gid, "once", "same-id")
    assert cid.send(gid, "once", "same-id")["key"] == same["key"]
    expect_code(REUSED, cid.send, gid, "other words", "same-id")
    texts.append("once")
    wait_for(ann, ["before cid"] + texts, gid)
    wait_for(ben, ["before cid"] + texts, gid)
    wait_for(cid, texts, gid)
    assert [m["digest"] for m in history(cid, gid) if m["kind"] == 1] == texts
    events = [m["digest"] for m in history(ann, gid) if m["kind"] == 2]
    assert events == ["Group created: 鸿雁 friends", "Group renamed: three of us", "New members joined"], events
    positions = [int(m["position"]) for m in history(ann, gid)]
    assert positions == list(range(1, len(positions) + 1)), "the seq is dense"

    print("unread, read marks and a second device")
    phone = Client(server, "ben", ben.password).login()
    phone.sync()
    unread = state_of(ben, gid)
    assert unread["unread"] == 22 and unread["lastPosition"] == str(positions[-1]), unread  # One before cid, 10 of ann, 11 of cid.
    ben.call("read", {"conversation": {"type": GROUP, "id": gid}, "position": unread["lastPosition"]})
    phone.sync()
    assert phone.conversations[(GROUP, gid)].get("unread", 0) == 0
    assert [m["digest"] for m in history(phone, gid) if m["kind"] == 1] == ["before cid"] + texts
    phone.send(gid, "from the phone")
    texts.append("from the phone")
    wait_for(ben, ["before cid"] + texts, gid)
    mention = cid.call("send", {"messages": [cid.message(gid, "hey ann", mentions=[ann.uin])]})
    assert mention["sent"][0].get("code", 0) == 0
    texts.append("hey ann")
    wait_for(ann, ["before cid"] + texts, gid)
    assert state_of(ann, gid)["unreadMentions"] == 1
    expect_code(FORBIDDEN, cid.send, gid, "all of you", mentionScope=1)

    print("leaving, being removed, coming back")
    expect_code(OWNER_MUST_STAY, ann.call, "group/remove", {"group": gid, "members": [ann.uin, ben.uin]})
    ann.call("group/remove", {"group": gid, "members": [cid.uin]})
    expect_code(NOT_MEMBER, cid.send, gid, "still here?")
    ann.send(gid, "without cid")
    wait_for(ben, ["before cid"] + texts + ["without cid"], gid)
    wait_for(cid, texts, gid)
    assert history(cid, gid)[-1]["digest"] == "Members were removed"
    ann.call("group/add", {"group": gid, "members": [cid.uin]})
    ann.send(gid, "welcome back")
    wait_for(cid, texts + ["welcome back"], gid)
    assert "without cid" not in [m["digest"] for m in history(cid, gid)]
    ann.call("group/leave", {"group": gid})
    ann.call("group/leave", {"group": gid})  # Asked again as if the answer was lost.
    expect_code(NOT_MEMBER, ann.call, "group/get", {"group": gid})
    left = ben.call("group/get", {"group": gid, "members": True})["group"]
    assert left["owner"] == ben.uin and left["memberCount"] == 2, left
    assert history(ann, gid)[-1]["digest"] == "A member left"
    ann.sync()
    known = [e for e in ann.groups if e["group"] == gid]
    assert known and known[-1]["state"]["name"] == "three of us"


def admins(server, ann, ben, cid):
    print("the owner appoints admins and dismisses them")
    gid = ann.call("group/create", {"clientGroupId": "court", "name": "court", "members": [ben.uin, cid.uin]})["group"]["id"]
    appoint = {"group": gid, "members": [ben.uin], "admin": True}
    expect_code(FORBIDDEN, ben.call, "group/admin", appoint)
    expect_code(5, ann.call, "group/admin", {"group": gid, "members": [ann.uin], "admin": True})
    expect_code(8, ann.call, "group/admin", {"group": gid, "members": ["1"], "admin": True})
    roles = {m["uin"]: m["role"] for m in ann.call("group/admin", appoint)["group"]["members"]}
    assert roles == {ann.uin: 1, ben.uin: 2, cid.uin: 3}, roles
    assert ben.call("group/rename", {"group": gid, "name": "ben's court"})["group"]["name"] == "ben's court"
    expect_code(OWNER_MUST_STAY, ben.call, "group/remove", {"group": gid, "members": [ann.uin]})
    ben.call("group/remove", {"group": gid, "members": [cid.uin]})
    ann.call("group/admin", {"group": gid, "members": [ben.uin]})
    expect_code(FORBIDDEN, ben.call, "group/rename", {"group": gid, "name": "again"})
    lines = [m["digest"] for m in history(ann, gid)]
    assert lines[1] == "Admins appointed" and lines[-1] == "Admins dismissed", lines


def markers_of(person, group):
    return [e["marker"] for e in person.entries if "marker" in e and e["marker"]["conversation"]["id"] == group]


def muted(server, ann, ben, cid):
    """Who mutes a group gets "new up to n" at most once in 5 s; all of it is in the history of every device, once."""
    gid = ann.call("group/create", {"clientGroupId": "noisy", "name": "noisy", "members": [ben.uin, cid.uin]})["group"]["id"]
    phone = Client(server, "ben", ben.password).login()
    wait_for(ben, [], gid)
    conversation = {"type": GROUP, "id": gid}
    ann.send(gid, "heard")
    wait_for(ben, ["heard"], gid)
    phone.sync()
    wait_for(phone, ["heard"], gid)
    ben.call("conversation/set", {"conversation": conversation, "muteUntilMs": str(int(time.time() * 1000) + 3600_000), "fields": ["mute_until_ms"]})
    started = time.monotonic()
    texts, turn = [], 0
    while time.monotonic() < started + 6:
        batch = [ann.message(gid, f"noise {turn}.{n}") for n in range(4)]
        assert all(s.get("code", 0) == 0 for s in ann.call("send", {"messages": batch})["sent"])
        texts += [f"noise {turn}.{n}" for n in range(4)]
        ben.sync()
        phone.sync()
        turn += 1
        time.sleep(0.2)
    ben.send(gid, "enough")  # What he writes himself is his own to know, and unread for nobody of his devices.
    ann.send(gid, "sorry")
    wait_for(cid, ["heard"] + texts + ["enough", "sorry"], gid)
    last = history(ann, gid)[-1]["position"]
    for device in (ben, phone):
        limit = time.monotonic() + 15
        while not markers_of(device, gid) or markers_of(device, gid)[-1]["upTo"] != last:
            assert time.monotonic() < limit, (markers_of(device, gid)[-1:], last)
            device.sync()
            time.sleep(0.1)
        seen = markers_of(device, gid)
        assert len(seen) <= 2 + (time.monotonic() - started) / 5, f"{len(seen)} markers"
        assert device.texts(gid) == ["heard"], "a muted group brings no rows"
        assert [m["digest"] for m in history(device, gid) if m["kind"] == 1] == ["heard"] + texts + ["enough", "sorry"]
        assert seen[-1]["unread"] == len(texts) + 2 and seen[-1]["last"]["digest"] == "sorry", seen[-1]
    state = state_of(ben, gid)
    assert state["unread"] == len(texts) + 2 and state["lastPosition"] == last and state["last"]["digest"] == "sorry", state
    middle = history(ben, gid)[10]["position"]
    read = ben.call("read", {"conversation": conversation, "position": middle})["state"]
    assert read["unread"] == len(texts) + 2 - 10, read  # Seqs 2..11 are read: what was heard, and nine of the noise.
    fresh = Client(server, "ben", ben.password).login()
    fresh.sync()
    assert state_of(fresh, gid)["unread"] == read["unread"]
    assert [m["digest"] for m in history(fresh, gid) if m["kind"] == 1] == ["heard"] + texts + ["enough", "sorry"]

    print("what one has cleared is shown to none of one's devices")
    ben.call("conversation/set", {"conversation": conversation, "clearedPosition": middle, "fields": ["cleared_position"]})
    for device in (ben, phone, fresh):
        assert int(history(device, gid)[0]["position"]) == int(middle) + 1
    assert int(history(ann, gid)[0]["position"]) == 1
    ben.call("conversation/set", {"conversation": conversation, "muteUntilMs": "0", "fields": ["mute_until_ms"]})
    ann.send(gid, "rows again")
    wait_for(ben, ["heard", "rows again"], gid)
    wait_for(phone, ["heard", "rows again"], gid)


def level_one(server, ann, ben, cid):
    """A client that does not know groups sees a person named like the group, and can use it like one."""
    group = ann.call("group/create", {"clientGroupId": "old", "name": "old friends", "members": [ben.uin, cid.uin]})["group"]["id"]
    old = Client(server, "cid", cid.password)
    old.feature_level = 1
    old.login().sync()
    ann.send(group, "hello")
    ben.send(group, "hi")
    mine = old.call("send", {"messages": [{**old.message(group, "from 1999"), "conversation": {"type": 1, "id": group}}]})["sent"][0]
    assert mine.get("code", 0) == 0
    expected = ["ann created the group old friends", "ann: hello", "ben: hi", "from 1999"]
    wait_for(old, expected, group)
    assert all("group" not in e and "marker" not in e for e in old.entries)
    assert all(m["conversation"]["type"] == 1 for m in old.messages)
    senders = [m["sender"] for m in old.messages if m["conversation"]["id"] == group]
    assert senders == [group] * 3 + [old.uin], senders
    contact = old.contacts[group]
    assert contact["profile"]["nickname"] == "old friends" and contact["state"] == 1, contact
    as_person = {"type": 1, "id": group}
    page = old.call("history", {"conversation": as_person, "limit": 10})["messages"]
    assert [m["digest"] for m in reversed(page)] == expected and {m["conversation"]["type"] for m in page} == {1}
    listed = next(s for s in old.call("conversation/list", {"limit": 10})["conversations"] if s["conversation"]["id"] == group)
    assert listed["conversation"]["type"] == 1 and listed["unread"] == 2 and listed["last"]["digest"] == "from 1999", listed
    read = old.call("read", {"conversation": as_person, "position": listed["lastPosition"]})["state"]
    assert read.get("unread", 0) == 0 and read["conversation"]["type"] == 1, read
    pinned = old.call("conversation/set", {"conversation": as_person, "pinRank": "7", "fields": ["pin_rank"]})["state"]
    assert pinned["pinRank"] == "7" and pinned["conversation"]["type"] == 1, pinned
    wait_for(cid, ["hello", "hi", "from 1999"], group)
    assert cid.conversations[(GROUP, group)]["pinRank"] == "7" and cid.conversations[(GROUP, group)].get("unread", 0) == 0


def talk_through_kills(server, people, chance):
    owner = people[0]
    group = owner.call("group/create", {"clientGroupId": "loud", "name": "loud", "members": [p.uin for p in people[1:]]})["group"]["id"]
    sent = {p.user_name: [] for p in people}
    for turn in range(KILLS):
        acked, lock, killed, limit = [0], threading.Lock(), threading.Event(), chance.randrange(3, 80)

        def talk(person):
            for n in range(40):
                text = f"{turn}.{n} of {person.user_name}"
                person.send_until_acked(group, text)
                sent[person.user_name].append(text)
                with lock:
                    acked[0] += 1
                    due = acked[0] == limit
                if due:
                    server.kill()
                    server.start()
                    killed.set()

        threads = [threading.Thread(target=talk, args=(p,)) for p in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert killed.is_set()
    server.kill()  # In the middle of the last fan-out.
    server.start()
    limit = time.monotonic() + 20
    fresh = Client(server, people[1].user_name, people[1].password).login()
    order = [m["digest"] for m in history(fresh, group) if m["kind"] == 1]
    for name, texts in sent.items():
        assert [t for t in order if t.endswith(" of " + name)] == texts, f"{name}'s messages in the group's log"
    assert len(order) == len(set(order)) == sum(map(len, sent.values()))
    for person in people:
        wait_for(person, order, group, max(1, limit - time.monotonic()))
        assert person.resets == 0
        unread = state_of(person, group)["unread"]
        assert unread == len(order) - len(sent[person.user_name]) or unread >= 1000, (person.user_name, unread)
    fresh.sync()
    assert fresh.conversations[(GROUP, group)]["lastPosition"] == str(len(order) + 1)
    print(f"{KILLS + 1} kills, {len(order)} messages to {len(people)} members, none lost, none doubled, one order")


def main():
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 30)))
    print("seed", seed)
    with Server() as server:
        ann, ben, cid, eve = [Client(server, name, new_password()).register() for name in ("ann", "ben", "cid", "eve")]
        befriend(ann, ben)
        befriend(ann, cid)
        for person in (ann, ben, cid):
            person.sync()  # From here on a device gets everything; a first sync gives only the last page.
        rights_and_membership(server, ann, ben, cid, eve)
        admins(server, ann, ben, cid)
        print("a muted group")
        muted(server, ann, ben, cid)
        print("a client of feature level 1")
        level_one(server, ann, ben, cid)
        talk_through_kills(server, [ann, ben, cid], random.Random(seed))
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()

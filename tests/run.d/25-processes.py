#!/usr/bin/env python3
"""Every service as a process of its own: two people register, befriend, chat and make a group, over the web, the short
and the long link; then each process is killed with kill -9 in the middle of the chat and started again. Nothing that was
acked is lost, nothing is doubled, and everybody recovers. Keys: each process has its own and takes no other. In the end
all of them stop in an orderly way, and the bundle opens the same data."""
import json
import pathlib
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("tests/lib", "clients/sample_python"):
    sys.path.insert(0, str(ROOT / folder))
from protos import compile_protos  # noqa: E402
from services import deployed, patiently, until  # noqa: E402
from processes import KEYLESS, SERVICES  # noqa: E402
from web_client import Client, Server, befriend, new_password  # noqa: E402

BEFORE, AFTER = 3, 5  # Acked messages around each kill.
RPC = ROOT / "build/bin/hongyan-rpc"


def until_there(person, conversation, texts):
    def seen():
        patiently(person.sync)
        return person.texts(conversation)
    until(lambda: seen() == texts,
          lambda: (person.user_name, len(seen()), len(texts), sorted(set(texts) ^ set(seen()))[:5]))


def links(deployment):
    print("short and long link: the same account, rings across processes")
    import hongyan_sample as sample
    rings = threading.Semaphore(0)
    a = sample.Client(sample.LongLink(deployment.ready["long_link"]["link"], lambda ring: rings.release()))
    b = sample.Client(sample.ShortLink(deployment.ready["web_gate"]["web"].removeprefix("http://")))
    a.register("lena", new_password(), "Lena")
    b.register("mila", new_password(), "Mila")
    a.ask("friend/add", uin=b.uin, greeting="hi")
    b.ask("friend/accept", uin=a.uin)
    a.identify()
    a.sync()
    while rings.acquire(blocking=False):
        pass
    b.send(a.uin, "over the short link")
    assert rings.acquire(timeout=20), "no ring"
    a.sync()
    assert [m.content.decode() for m in a.messages] == ["over the short link"], a.messages
    a.send(b.uin, "over the long link")
    b.sync()
    assert [m.content.decode() for m in b.messages][-1] == "over the long link"
    for client in (a, b):
        client.link.close()


def rpc(*words):
    done = subprocess.run([str(RPC), *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def by_hand(deployment, ann):
    print("calls by hand: lists, flags, JSON, rights")
    address = deployment.ready["account"]["account"]
    keys = deployment.data / "keys/account.keys"
    code, out, _ = rpc("account")
    assert code == 0 and "Account.LeaseIds" in out and "group" in out, out
    code, out, _ = rpc("account", "create", "--help")
    assert code == 0 and "--name_space" in out and "login" in out, out
    code, out, err = rpc("--keys", keys, address, "Account.Get", "--uin", ann.uin)
    assert code == 0 and json.loads(out)["account"]["profile"]["nickname"] == "ann", (out, err)
    code, out, err = rpc("--keys", keys, address, "Account.Profiles", "--as", "group", json.dumps({"uins": [ann.uin]}))
    assert code == 0 and len(json.loads(out)["profiles"]) == 1, (out, err)
    assert rpc(address, "Account.Get", "--uin=" + ann.uin)[0] == 1, "it passed without a ticket"
    assert rpc("--keys", keys, address, "Account.LeaseIds", "--as", "login", "--kind", "group")[0] == 1, "no such right"
    code, _, err = rpc("--keys", keys, address, "Account.Get", "--nonsense", "1")
    assert code == 2 and "nonsense" in err, err
    code, out, err = rpc("--keys", deployment.data / "keys/store.keys", deployment.ready["store"]["store"], "Store.Checkpoint",
                         "--as", "operator", "--name", "by-hand")
    assert code == 0 and pathlib.Path(json.loads(out)["directory"], "FORMAT").exists(), (out, err)
    own = subprocess.run([*deployment.command("account"), "call", "Get", "--uin", ann.uin], stdout=subprocess.PIPE, text=True)
    assert own.returncode == 0 and json.loads(own.stdout)["account"]["profile"]["nickname"] == "ann", own


def keys_apart(deployment):
    print("a process takes its own keys only")
    keys = deployment.data / "keys"
    assert {path.name for path in keys.iterdir()} == {f"{name}.keys" for name in SERVICES}
    for name in KEYLESS:
        assert len((keys / f"{name}.keys").read_text().splitlines()) == 1, name
    for path in keys.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    command = deployment.command("contact")
    command[command.index("--keys") + 1] = str(keys / "inbox.keys")
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == 1 and "must not have" in done.stderr, done.stderr


def newcomer(server, name, ann):
    """Somebody who comes right after the restart: every service works again."""
    person = Client(server, name, new_password())
    patiently(person.register)
    patiently(lambda: person.call("friend/add", {"uin": ann.uin, "greeting": "hi"}))
    patiently(lambda: ann.call("friend/accept", {"uin": person.uin}))
    person.send_until_acked(ann.uin, "from " + name)
    until_there(person, ann.uin, ["from " + name])
    until_there(ann, person.uin, ["from " + name])


def kill_each(deployment, server, ann, ben, group):
    direct, in_group = ann.texts(ben.uin), ben.texts(group)
    for name in SERVICES:
        print("kill -9", name)
        sent, enough, dead = [], threading.Event(), threading.Event()

        def talk():
            after = 0
            while after < AFTER:
                text = f"{name} {len(sent)}"
                ann.send_until_acked(ben.uin, text)
                ben.send_until_acked(group, text)
                sent.append(text)
                after += dead.is_set()
                if len(sent) >= BEFORE:
                    enough.set()

        talker = threading.Thread(target=talk)
        talker.start()
        assert enough.wait(60), "no message went through"
        deployment.kill(name)
        dead.set()
        deployment.start(name)
        talker.join(90)
        assert not talker.is_alive(), f"after {name} was restarted nobody recovered"
        direct += sent
        in_group += sent
        for person in (ann, ben):
            until_there(person, ben.uin if person is ann else ann.uin, direct)
            until_there(person, group, in_group)
        newcomer(server, "after-" + name.replace("_", "-"), ann)
    for person in (ann, ben):
        assert person.resets == 0, "a reset without a restore"
        keys = [m["key"] for m in person.messages]
        assert len(keys) == len(set(keys)), "doubled"
    print(f"{len(SERVICES)} kills, {len(direct) + len(in_group)} messages, none lost, none doubled")
    return direct


def main():
    with deployed("processes", ended_before=SERVICES) as (deployment, server):
        ann, ben = (Client(server, name, new_password()).register() for name in ("ann", "ben"))
        befriend(ann, ben)
        group = ann.call("group/create", {"clientGroupId": "g", "name": "both", "members": [ben.uin]})["group"]["id"]
        for person in (ann, ben):
            person.sync()
        ann.send(ben.uin, "hello")
        ben.send(group, "hello all")
        until_there(ben, ann.uin, ["hello"])
        until_there(ann, ben.uin, ["hello"])
        until_there(ann, group, ["hello all"])
        until_there(ben, group, ["hello all"])
        with compile_protos():
            links(deployment)
        keys_apart(deployment)
        by_hand(deployment, ann)
        direct = kill_each(deployment, server, ann, ben, group)

        print("an orderly end, and the bundle on the same data")
        ended = deployment.stop_all()
        assert ended == {name: 0 for name in SERVICES}, ended
        with Server(data=deployment.data) as bundle:
            fresh = Client(bundle, "ben", ben.password).login()
            page = fresh.call("history", {"conversation": {"type": 1, "id": ann.uin}, "beforePosition": "0", "limit": 100})["messages"]
            assert [m["digest"] for m in reversed(page)] == direct[-len(page):], "the bundle sees another history"
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()

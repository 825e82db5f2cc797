#!/usr/bin/env python3
"""Data services with several workers, each a routing target of its own, and instances that come and go by the list that
callers watch. Six people chat, in pairs and in a group, while workers of inbox, group and presence are killed with
kill -9, rolled, and one master is killed whole: nothing that was acked is lost, nothing is doubled, and every worker has
had its part of the calls. Then the inbox moves to another process by its list alone, and back, while people sync: no
call fails."""
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
from services import LIMIT_S, deployed, patiently, until  # noqa: E402
from web_client import Client, Refused, Unreached, befriend, new_password  # noqa: E402

WITH_WORKERS = ("contact", "inbox", "group", "presence")


class Masters:
    """What the logs of masters say of their workers."""

    def __init__(self, deployment):
        self.deployment = deployment

    def events(self, name):
        text = (self.deployment.data / "logs" / f"{name}.log").read_text(errors="replace")
        return [json.loads(line[7:]) for line in text.splitlines() if line.startswith("worker {") and line.endswith("}")]

    def serving(self, name):
        now = {}
        for event in self.events(name):
            if event["event"] == "serves":
                now[event["slot"]] = event["pid"]
            elif event["event"] in ("ended", "drains") and now.get(event["slot"]) == event["pid"]:
                del now[event["slot"]]
        return now

    def calm(self, name):
        events = self.events(name)
        return len(self.serving(name)) == self.deployment.workers and events[-1]["alive"] == self.deployment.workers


def calls_at(address):
    """Calls that the server at this address has had from services, on connections that are open."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=LIMIT_S)
    connection.request("GET", "/connections?format=json")
    answer = connection.getresponse()
    rows = json.loads(answer.read())["rows"]
    connection.close()
    return sum(row["calls"] for row in rows if row["kind"] == "frames")


def are_called(addresses, what):
    """Each of them, by more than those who ask every ten seconds whether it is there: less than one a second."""
    for address in addresses:
        before = calls_at(address)
        until(lambda: calls_at(address) > before + LIMIT_S, (what, address))


def chat(pairs, crowd, group, over, sent, failures):
    """Everybody writes to their peer and to the group, one message after the other, until it is over. A crowd does
    something of each kind, in turns, so that there are keys for every worker."""
    def mill():
        try:
            while not over.is_set():
                for one, own_group in crowd:
                    patiently(one.sync)
                    patiently(lambda: one.call("group/get", {"group": own_group}))
                    one.send_until_acked(pairs[0][0].uin, "hum")
        except BaseException as error:  # noqa: BLE001
            failures.append(f"crowd: {error!r}")

    def talk(person, peer):
        number = 0
        try:
            while not over.is_set():
                text = f"{person.user_name} {number}"
                person.send_until_acked(peer.uin, text)
                person.send_until_acked(group, text)
                sent[person.user_name].append(text)
                number += 1
        except BaseException as error:  # noqa: BLE001
            failures.append(f"{person.user_name}: {error!r}")

    threads = [threading.Thread(target=talk, args=pair) for a, b in pairs for pair in ((a, b), (b, a))]
    threads.append(threading.Thread(target=mill))
    for thread in threads:
        thread.start()
    return threads


def check(pairs, people, group, sent):
    """Each conversation has every acked text once, each sender's in order."""
    for a, b in pairs:
        for person, peer in ((a, b), (b, a)):
            wanted = {name: sent[name] for name in (a.user_name, b.user_name)}

            def seen(conversation, names):
                patiently(person.sync)
                by_name = {name: [] for name in names}
                for text in person.texts(conversation):
                    by_name[text.split()[0]].append(text)
                return by_name
            until(lambda: sum(map(len, seen(peer.uin, wanted).values())) >= sum(map(len, wanted.values())), "not all arrived")
            assert seen(peer.uin, wanted) == wanted, (person.user_name, "one to one")
            everybody = {one.user_name: sent[one.user_name] for one in people}
            until(lambda: sum(map(len, seen(group, everybody).values())) >= sum(map(len, everybody.values())), "not all arrived in the group")
            assert seen(group, everybody) == everybody, (person.user_name, "group")
    for person in people:
        keys = [message["key"] for message in person.messages]
        assert len(keys) == len(set(keys)), "doubled"
        assert person.resets == 0, "a reset without a restore"


def kills(deployment, pairs, people, crowd, group):
    seed = int(os.environ.get("HONGYAN_SEED", random.randrange(1 << 30)))
    print("kill -9 of workers, a roll and a killed master under chat; seed", seed)
    chance, masters = random.Random(seed), Masters(deployment)
    over, failures, sent = threading.Event(), [], {person.user_name: [] for person in people}
    threads = chat(pairs, crowd, group, over, sent, failures)

    def goes_on():
        before = {name: len(texts) for name, texts in sent.items()}
        until(lambda: failures or all(len(sent[name]) >= count + 2 for name, count in before.items()), "the chat stands still")
        assert not failures, failures

    goes_on()
    for name in WITH_WORKERS:
        for address in deployment.ready[name]["addresses"]:
            are_called([address], (name, "one worker has all"))
    for name in ("inbox", "group", "inbox", "presence", "group", "contact", "inbox"):
        victim = chance.choice(sorted(masters.serving(name).values()))
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in masters.serving(name).values() and masters.calm(name), f"{name} did not come back")
        goes_on()
    for name in ("inbox", "group"):
        before = masters.events(name)[-1]["restarts"]["asked"]
        deployment.processes[name].send_signal(signal.SIGHUP)
        until(lambda: masters.events(name)[-1]["restarts"]["asked"] >= before + 2 and masters.calm(name), f"{name} did not roll")
        goes_on()
    before = (deployment.data / "instances/inbox").read_text()
    deployment.kill("inbox")  # And its workers with it; others come at other ports.
    deployment.start("inbox")
    assert (deployment.data / "instances/inbox").read_text() != before
    goes_on()
    over.set()
    for thread in threads:
        thread.join(LIMIT_S)
    assert not failures, failures
    check(pairs, people, group, sent)
    print(f"{sum(map(len, sent.values()))} messages to a person and as many to the group, none lost, none doubled")


def moved_by_list(deployment, people):
    print("the inbox moves to another process by the list alone, and back; no sync fails")
    path = deployment.data / "instances/inbox"
    here = path.read_text()
    other = subprocess.Popen(deployment.command("inbox")[:-1] + [str(deployment.data / "other")], stdout=subprocess.PIPE, text=True,
                             env=deployment.environment)
    there = json.loads(next(line for line in other.stdout if line.startswith("ready {")).removeprefix("ready "))["inbox"]
    over, failures, done = threading.Event(), [], [0]

    def sync_on(person):
        while not over.is_set():
            try:
                person.sync()
                done[0] += 1
            except (Refused, Unreached) as error:
                failures.append(str(error))

    def move(list_of):
        fresh = path.with_suffix(".new")
        fresh.write_text(list_of)
        fresh.rename(path)

    def few_more():
        before = done[0]
        until(lambda: done[0] > before + 50, "nobody syncs")

    threads = [threading.Thread(target=sync_on, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    few_more()
    move(there + "\n")
    are_called([there], "nobody came")
    few_more()
    assert deployment.stop("inbox") == 0  # Nobody calls it any more.
    few_more()
    move(here + there + "\n")  # Half of the list is dead.
    few_more()
    deployment.start("inbox")  # Writes its own list.
    back = deployment.ready["inbox"]["addresses"]
    until(lambda: sum(calls_at(address) for address in back) > 2 * LIMIT_S, "nobody came back")
    other.send_signal(signal.SIGTERM)
    few_more()
    over.set()
    for thread in threads:
        thread.join(LIMIT_S)
    assert other.wait(LIMIT_S) == 0
    assert not failures, failures[:5]
    print(f"{done[0]} syncs")


def main():
    with deployed("instances", workers=2, with_workers=WITH_WORKERS) as (deployment, server):
        people = [Client(server, name, new_password()).register() for name in ("ann", "ben", "cem", "dora", "eve", "finn")]
        pairs = list(zip(people[::2], people[1::2]))
        for one in people[1:]:
            befriend(people[0], one)
        for a, b in pairs[1:]:
            befriend(a, b)
        group = people[0].call("group/create", {"clientGroupId": "g", "name": "all", "members": [one.uin for one in people[1:]]})["group"]["id"]
        crowd = []
        for number in range(16):
            one = Client(server, f"crowd-{number}", new_password()).register()
            befriend(people[0], one)
            made = one.call("group/create", {"clientGroupId": "own", "name": "own", "members": [people[0].uin]})
            crowd.append((one, made["group"]["id"]))
        for person in people:
            person.sync()  # The first answer has the latest of each conversation; from here on all comes.
        kills(deployment, pairs, people, crowd, group)
        moved_by_list(deployment, people)
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()

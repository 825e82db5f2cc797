#!/usr/bin/env python3
"""kill -9 of the server in the middle of a chat, again and again: nothing acked is lost, nothing is doubled, order holds.

Two people write to each other as real clients do (the same id until answered, one in flight per conversation) while the
server is killed after a random number of answers. In the end both sides' devices, and a fresh device of each, must hold
every message once, each sender's in the order of sending."""
import os
import pathlib
import random
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from web_client import Client, Server, Unreached, befriend, new_password  # noqa: E402

ROUNDS = 40 if os.environ.get("HY_LONG") else 8
PER_ROUND = 120


def main():
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 30)))
    print("seed", seed)
    chance = random.Random(seed)
    with Server() as server:
        people = [Client(server, name, new_password()).register() for name in ("anna", "boris")]
        befriend(*people)
        for person in people:
            person.sync()  # From here on a device gets everything; a first sync gives only the last page.
        sent = {0: [], 1: []}
        for turn in range(ROUNDS):
            acked, lock, killed = [0], threading.Lock(), threading.Event()
            limit = chance.randrange(2, PER_ROUND)

            def talk(i):
                for n in range(PER_ROUND // 2):
                    text = f"{turn}.{n} from {i}"
                    people[i].send_until_acked(people[1 - i].uin, text)
                    sent[i].append(text)
                    with lock:
                        acked[0] += 1
                        due = acked[0] == limit
                    if due:
                        server.kill()
                        server.start()
                        killed.set()

            threads = [threading.Thread(target=talk, args=(i,)) for i in (0, 1)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert killed.is_set()
        for i in (0, 1):
            fresh = Client(server, people[i].user_name, people[i].password).login()
            for _ in range(3):
                try:
                    people[i].sync()
                    break
                except Unreached:
                    continue
            texts = people[i].texts()
            assert len(texts) == len(set(texts)), "doubled"
            for j in (0, 1):
                mine = [t for t in texts if t.endswith(f"from {j}")]
                assert mine == sent[j], (i, j, len(mine), len(sent[j]), sorted(set(sent[j]) ^ set(mine))[:10])
            page, before = [], "0"
            while True:
                answer = fresh.call("history", {"conversation": {"type": 1, "id": people[1 - i].uin}, "beforePosition": before, "limit": 100})
                page += answer.get("messages", [])
                if not answer.get("more"):
                    break
                before = page[-1]["position"]
            assert [m["digest"] for m in reversed(page)] == texts, "a fresh device sees another history"
            people[i].resets == 0 or sys.exit("a reset without a restore")
        print(f"{ROUNDS} kills, {len(sent[0]) + len(sent[1])} messages, none lost, none doubled")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()

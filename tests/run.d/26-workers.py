#!/usr/bin/env python3
"""A service with workers behind a master. Callers run through 20 restarts and 20 kill -9s: no call of an idempotent method
fails, and a call of another method that fails says truthfully whether it may have been done: the workers' journal knows.
Then the causes one by one (memory, schedule, crash loops), the end of the master, and workers without descriptors and
without memory. Nothing here waits for a time to pass: it waits for what the master says, with a limit."""
import collections
import http.client
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEER = ROOT / "build/tests/workers_peer"
LIMIT_S = 30


class Process:
    """One with lines on standard output: `WORD {json}`."""

    def __init__(self, *words, program=PEER, environment=None):
        self.lines = []
        self.news = threading.Condition()
        self.ended = False
        self.process = subprocess.Popen([str(program), *map(str, words)], stdout=subprocess.PIPE, text=True, env=environment)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line.strip())
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def wait_for(self, found, what):
        with self.news:
            assert self.news.wait_for(lambda: found() or self.ended, LIMIT_S) and found(), (what, self.lines[-12:])

    def ready(self):
        self.wait_for(lambda: any(line.startswith("ready ") for line in self.lines), "ready")
        return json.loads(next(line for line in self.lines if line.startswith("ready "))[6:])

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(LIMIT_S)
        self.reader.join(LIMIT_S)
        return status


class Service(Process):
    def __init__(self, folder, *words, address="127.0.0.1:0"):
        self.journal = folder / "journal"
        super().__init__("serve", "--listen", address, "--journal", self.journal, *words)

    @classmethod
    def of_product(cls, program, **settings):
        service = cls.__new__(cls)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HONGYAN_")}
        Process.__init__(service, program=ROOT / "build/bin" / program, environment=environment | settings)
        return service

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()  # And with it the workers.
            self.process.wait()

    def events(self, kind=None):
        all_of_them = [json.loads(line[7:]) for line in list(self.lines) if line.startswith("worker ")]
        return [event for event in all_of_them if kind in (None, event["event"])]

    def counts(self):
        return self.events()[-1]

    def serving(self):
        """pid by slot, of those that serve."""
        now = {}
        for event in self.events():
            if event["event"] == "serves":
                now[event["slot"]] = event["pid"]
            elif event["event"] in ("ended", "drains") and now.get(event["slot"]) == event["pid"]:
                del now[event["slot"]]
        return now

    def calm(self, workers):
        return len(self.serving()) == workers and self.counts()["alive"] == workers


class Web:
    """Calls over HTTP, on one connection that is kept."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port), timeout=LIMIT_S)

    def open(self, **fields):
        self.connection.request("POST", "/hongyan.tests.workers.Echo/Open", json.dumps(fields), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        body = json.loads(answer.read())
        assert answer.status == 200, (answer.status, body)
        return {name: int(value) for name, value in body.items()}

    def close(self):
        self.connection.close()


def gone(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def until(condition, what):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, what
        time.sleep(0.01)


def product(_):
    print("a service of the product behind a master, by its settings")
    with Service.of_product("hongyan-chat", HONGYAN_WORKERS_COUNT="2", HONGYAN_SERVICES_CHAT="127.0.0.1:0",
                            HONGYAN_LOG_LEVEL="error") as service:
        host, port = service.ready()["chat"].rsplit(":", 1)
        os.kill(service.serving()[1], signal.SIGKILL)
        service.wait_for(lambda: service.counts()["restarts"]["crash"] == 1 and service.calm(2), "came back")
        service.process.send_signal(signal.SIGHUP)
        service.wait_for(lambda: service.counts()["restarts"]["asked"] == 2 and service.calm(2), "rolled")
        web = http.client.HTTPConnection(host, int(port), timeout=LIMIT_S)
        web.request("POST", "/nobody.Here/Nothing", "{}", {"Content-Type": "application/json"})
        assert web.getresponse().status == 404
        web.close()
        assert service.end() == 0 and service.counts()["alive"] == 0


def load_through(folder):
    print("20 restarts and 20 kills under load")
    seed = int(os.environ.get("HONGYAN_SEED", random.randrange(1 << 30)))
    print("seed", seed)
    chance = random.Random(seed)
    with Service(folder, "--workers", 3, "--settled-ms", 0) as service:
        address = service.ready()["echo"]
        load = Process("load", "--address", address)
        load.ready()
        restarts = kills = 0

        def calls_go_on():
            for _ in range(30):
                web = Web(address)
                web.open()
                web.close()

        while restarts < 20 or kills < 20:
            if restarts < 20:
                before = len(service.events("serves"))
                service.process.send_signal(signal.SIGHUP)
                service.wait_for(lambda: len(service.events("serves")) >= before + 3 and service.calm(3), "rolled")
                restarts += 3
                calls_go_on()
            for _ in range(3):
                victim = chance.choice(sorted(service.serving().values()))
                before = len(service.events("serves"))
                os.kill(victim, signal.SIGKILL)
                service.wait_for(lambda: len(service.events("serves")) > before and service.calm(3), "came back")
                kills += 1
                calls_go_on()
        counts = service.counts()
        assert load.end() == 0
        told = json.loads(load.lines[-1])
        assert service.end() == 0 and service.lines[-1] == "stopped", service.lines[-3:]
        assert not [event for event in service.events("killed")], "some did not drain"
        left = [event for event in service.events("ended") if event.get("signal") != 9 and event.get("status") != 0]
        assert not left, left
    assert counts["crashes"] == kills and counts["restarts"]["crash"] == kills, counts
    assert counts["restarts"]["asked"] == restarts, counts
    done = collections.Counter(int(line) for line in service.journal.read_text().split())
    print(f"{restarts} restarts, {kills} kills, {told['open']} idempotent calls, {len(told['deleted'])} others done, "
          f"{len(told['unavailable'])} unavailable, {len(told['unknown'])} unknown, {told['workers']} workers answered")
    assert told["open_failed"] == [], told["open_failed"]
    assert told["other"] == [], told["other"]
    assert told["open"] > 1000 and told["workers"] > 20, "hardly any load"
    assert max(done.values()) == 1, "done twice"
    assert all(done[number] == 1 for number in told["deleted"]), "acked and not done"
    assert not any(done[number] for number in told["unavailable"]), "unavailable and done"
    assert told["unknown"], "no kill hit a call: the test shows nothing"


def fair(folder):
    print("connections are spread")
    with Service(folder, "--workers", 3) as service:
        address = service.ready()["echo"]
        webs = [Web(address) for _ in range(12)]
        by_worker = collections.Counter(web.open()["pid"] for web in webs)
        print(sorted(by_worker.values()))
        assert len(by_worker) == 3 and max(by_worker.values()) <= 6, by_worker
        for web in webs:
            web.close()
        assert service.end() == 0


def memory(folder):
    print("a worker that has grown is replaced")
    with Service(folder, "--workers", 2, "--settled-ms", 0, "--memory-mib", 150) as service:
        address = service.ready()["echo"]
        web = Web(address)
        grown = web.open(takeMib=200)["pid"]
        web.close()
        service.wait_for(lambda: any(e["event"] == "ended" and e["pid"] == grown for e in service.events()), "replaced")
        order = [(e["event"], e["cause"]) for e in service.events() if e["event"] in ("serves", "drains")][2:]
        assert order[:2] == [("serves", "memory"), ("drains", "first")], order
        assert service.counts()["restarts"]["memory"] == 1 and service.counts()["crashes"] == 0
        assert service.end() == 0


def schedule(folder):
    print("scheduled restarts, one at a time")
    with Service(folder, "--workers", 3, "--restart-every-ms", 300) as service:
        service.ready()
        service.wait_for(lambda: service.counts()["restarts"]["schedule"] >= 9, "restarted")
        assert service.end() == 0
        events = service.events()
        stop = next(i for i, line in enumerate(service.lines) if line.startswith("ready "))
        before_end = [e for e in events if e["alive"] == 4 and e["event"] == "started"]
        assert max(e["alive"] for e in events) == 4, "two at a time"
        assert min(e["serving"] for e in events[stop:] if e["event"] == "serves") == 3, "one drained before another served"
        assert {e["slot"] for e in before_end} == {0, 1, 2}


def crashes(folder):
    print("crash loops slow down; a service that never served ends")
    with Service(folder, "--workers", 1) as service:
        service.ready()
        times = []
        for _ in range(5):
            before = len(service.events("serves"))
            os.kill(service.serving()[0], signal.SIGKILL)
            killed = time.monotonic()
            service.wait_for(lambda: len(service.events("serves")) > before, "came back")
            times.append(time.monotonic() - killed)
        print([round(seconds, 2) for seconds in times])
        assert times[4] >= 0.8 > times[0], times  # The pauses: 0, 0.1, 0.2, 0.4, 0.8 s.
        assert service.end() == 0
    with Service(folder, "--workers", 2, "--broken") as service:
        assert service.process.wait(LIMIT_S) == 1


def master_killed(folder):
    print("no worker outlives its master")
    with Service(folder, "--workers", 3) as service:
        address = service.ready()["echo"]
        pids = list(service.serving().values())
        assert len(pids) == 3 and not any(gone(pid) for pid in pids)
        service.end(signal.SIGKILL)
        until(lambda: all(gone(pid) for pid in pids), "workers without a master")
    with Service(folder, "--workers", 1, address=address) as service:  # The port is free again.
        assert service.ready()["echo"] == address and service.end() == 0


def own_ports(folder):
    print("each worker a routing target")
    with Service(folder, "--workers", 2, "--own-ports") as service:
        addresses = service.ready()["addresses"]
        assert len(set(addresses)) == 2, addresses
        webs = [Web(address) for address in addresses]
        answered = [web.open()["pid"] for web in webs]
        assert answered == [service.serving()[slot] for slot in (0, 1)], answered
        os.kill(answered[1], signal.SIGKILL)
        webs[1].close()
        after = Web(addresses[1])  # Waits in the kernel's queue if no worker is there yet.
        assert after.open()["pid"] not in answered and webs[0].open()["pid"] == answered[0]
        for web in (webs[0], after):
            web.close()
        assert service.end() == 0


def no_descriptors(folder):
    print("without descriptors: what is open is served, who comes is turned away, later all is well")
    with Service(folder, "--workers", 1) as service:
        address = service.ready()["echo"]
        host, port = address.rsplit(":", 1)
        web = Web(address)
        pid = web.open()["pid"]
        used = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 8, used + 8))
        strangers = [socket.create_connection((host, int(port)), timeout=LIMIT_S) for _ in range(20)]
        until(lambda: web.open().get("refused", 0) > 0, "nothing was refused")
        assert strangers[-1].recv(1) == b"", "one who can't be served is told"
        assert web.open()["pid"] == pid
        for stranger in strangers:
            stranger.close()
        late = Web(address)
        assert late.open()["pid"] == pid
        late.close()
        web.close()
        assert service.end() == 0 and service.counts()["crashes"] == 0


def no_memory(folder):
    print("without memory: the worker that wants too much ends alone, another takes its place")
    with Service(folder, "--workers", 2) as service:
        address = service.ready()["echo"]
        web = Web(address)
        pid = web.open()["pid"]
        mapped = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(pid, resource.RLIMIT_AS, (mapped + (64 << 20), mapped + (64 << 20)))
        assert web.open(takeMib=16)["pid"] == pid, "there was room"
        try:
            web.open(takeMib=512)
            raise SystemExit("it found 512 MiB")
        except (http.client.HTTPException, ConnectionError):
            pass
        web.close()
        again = Web(address)
        assert again.open()["pid"] != pid
        again.close()
        service.wait_for(lambda: service.counts()["crashes"] == 1 and service.calm(2), "came back")
        assert service.end() == 0


def main():
    parts = [fair, memory, schedule, crashes, master_killed, own_ports, no_descriptors, no_memory, product, load_through]
    wanted = sys.argv[1:]
    chosen = [part for part in parts if not wanted or part.__name__ in wanted]
    for part in chosen:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="hongyan-workers-"))
        began = time.monotonic()
        part(folder)
        print(f"  {time.monotonic() - began:.1f} s")
        shutil.rmtree(folder)
    print(f"{len(chosen)} passed, 0 failed")


if __name__ == "__main__":
    main()

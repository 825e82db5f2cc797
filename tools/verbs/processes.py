"""Every service as a process of its own, on this machine: `./hongyan up --processes`. Also imported by tests.

Writes key files (DATA/keys), starts the store, then what stands on it, and waits for each to say that it is ready. A
process that ends by itself is started again. What they print goes to DATA/logs/NAME.log. With workers, each of a data
service has a port of its own, and where they are stands in DATA/instances/NAME, which the others watch. With internal
TLS, certificates are made in DATA/internal-tls at the first start and renewed by later ones."""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# In the order in which they are started; they are stopped the other way round.
SERVICES = ("store", "account", "device", "contact", "inbox", "group", "presence", "login", "friend", "chat", "group_chat",
            "message_sync", "web_gate", "long_link", "server_port")
KEYLESS = {"login", "friend", "chat", "group_chat"}
ENDPOINTS = tuple(name for name in SERVICES if name != "server_port") + ("short_link", "sealed_link")
WITH_OWN_PORTS = ("account", "device", "contact", "inbox", "group", "presence")  # Their workers are told apart by callers.
READY_S = 30


class Deployment:
    """All processes of one data directory. kill() is kill -9."""

    def __init__(self, data, settings="", programs=ROOT / "build/bin", environment=None, workers=0, internal_tls=False,
                 with_workers=WITH_OWN_PORTS):
        self.data, self.programs = pathlib.Path(data), pathlib.Path(programs)
        self.environment = dict(os.environ) if environment is None else environment
        self.processes, self.ready = {}, {}
        self.workers, self.with_workers = workers, with_workers if workers else ()
        for folder in ("logs", "instances"):
            (self.data / folder).mkdir(parents=True, exist_ok=True)
        self.config = self.data / "processes.toml"
        self.config.write_text(self.own_settings(internal_tls) + settings)
        for what, folder in (("keys", "keys"), ("certificates", "internal-tls")):
            if what == "keys" or internal_tls:
                subprocess.run([self.programs / "hongyan-server", what, "--data", self.data, "--to", self.data / folder],
                               check=True, stdout=subprocess.DEVNULL)

    def own_settings(self, internal_tls):
        """Before the first table of what was given."""
        data = self.data.absolute()
        lines = [f"services.{name} = {json.dumps(f'file://{data}/instances/{name}')}" for name in self.with_workers]
        if internal_tls:
            files = {"ca": "ca.pem", "certificate": "{service}.pem", "key": "{service}.key"}
            lines += [f"internal_tls.{key} = {json.dumps(f'{data}/internal-tls/{file}')}" for key, file in files.items()]
        return "\n".join(lines) + "\n"

    def command(self, name):
        words = [self.programs / ("hongyan-" + name.replace("_", "-")), "--config", self.config]
        if name not in KEYLESS:
            words += ["--keys", self.data / "keys" / (name + ".keys")]
        if name == "store":
            words += ["--data", self.data]
        if name in self.with_workers:
            words += ["--listen", "127.0.0.1:0", "--announce", self.data / "instances" / name]
        return [str(word) for word in words]

    def start(self, name):
        log = self.data / "logs" / (name + ".log")
        begun = log.stat().st_size if log.exists() else 0
        environment = self.environment
        if name in self.with_workers:
            environment = environment | {"HONGYAN_WORKERS_DATA_COUNT": str(self.workers)}
        with open(log, "ab") as out:
            process = subprocess.Popen(self.command(name), stdout=out, stderr=subprocess.STDOUT, env=environment)
        self.processes[name] = process
        limit = time.monotonic() + READY_S
        while True:
            said = log.read_bytes()[begun:].decode(errors="replace")
            lines = [line for line in said.splitlines() if line.startswith("ready {")]
            if lines and said.endswith("\n"):
                self.ready[name] = json.loads(lines[0].removeprefix("ready "))
                return self.ready[name]
            if process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"{name} did not get ready:\n{said}")
            time.sleep(0.02)

    def start_all(self):
        for name in SERVICES:
            self.start(name)
        return self

    def kill(self, name):
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def stop(self, name, wait_s=40):
        """Exit status of an orderly end."""
        self.processes[name].send_signal(signal.SIGTERM)
        return self.processes[name].wait(timeout=wait_s)

    def stop_all(self):
        """Name -> exit status. Access goes first, then logic, then data, the store last."""
        ended = {}
        for name in reversed(SERVICES):
            if name in self.processes and self.processes[name].poll() is None:
                try:
                    ended[name] = self.stop(name)
                except subprocess.TimeoutExpired:
                    self.kill(name)
                    ended[name] = None
        return ended


def main():
    words = argparse.ArgumentParser()
    words.add_argument("data", type=pathlib.Path)
    words.add_argument("--config", type=pathlib.Path)
    words.add_argument("--workers", type=int, default=0)
    words.add_argument("--internal-tls", action="store_true")
    given = words.parse_args()
    data = given.data
    environment = dict(os.environ)
    if given.workers:
        environment.setdefault("HONGYAN_WORKERS_COUNT", str(given.workers))
    deployment = Deployment(data, given.config.read_text() if given.config else "", environment=environment,
                            workers=given.workers, internal_tls=given.internal_tls)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    try:
        deployment.start_all()
        print(f"\n{len(SERVICES)} processes are ready.\n  Open  {deployment.ready['web_gate']['web']}\n  Data  {data}\n"
              f"  Logs  {data}/logs\n  Stop  Ctrl-C", flush=True)
        while not over.wait(1):
            for name, process in list(deployment.processes.items()):
                if process.poll() is not None and not over.is_set():
                    print(f"{name} ended with {process.returncode}; started again", flush=True)
                    deployment.start(name)
    except RuntimeError as error:
        print(f"hongyan: {error}", file=sys.stderr)
        return 1
    finally:
        # Ctrl-C reaches the children too: each ends by itself, and in an order that may show in their logs.
        deployment.stop_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())

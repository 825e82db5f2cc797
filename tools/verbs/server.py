"""The verbs `down` and `status`: both find the server of a data directory through DATA/server.json.

The server writes that file when it is ready: {"pid", "web", "long_link", "server_api"}. The file outlives a crash, so
the pid counts only while it belongs to a process that runs our server.
"""
import argparse
import json
import os
import pathlib
import signal
import ssl
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(os.environ["HY_ROOT"])
STOP_SECONDS_MAX = 30  # A clean stop flushes and ends requests in flight; it has a few seconds of work at most.


def process_name(pid):
    """The name of the program that pid runs, or None."""
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except OSError:
        return None


def ended(pid):
    """Whether pid is gone, or waits as a zombie for whoever started it."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def find(data):
    """What server.json says of a running server, or None."""
    try:
        known = json.loads((data / "server.json").read_text())
        pid = int(known["pid"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    if process_name(pid) != "hongyan-server" or ended(pid):
        return None
    return known


def uptime_seconds(pid):
    started_ticks = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    machine = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    return max(0, int(machine - started_ticks / os.sysconf("SC_CLK_TCK")))


def health(web):
    """(True or False, the answer of /healthz). The certificate may be one the server made for itself, and the address
    comes from our own data directory, so it is not verified."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(web.rstrip("/") + "/healthz", timeout=5) as answer:
            return answer.status == 200, answer.read(65536).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return False, error.read(65536).decode(errors="replace")
    except OSError as error:
        return False, str(error)


def status(data, as_json):
    known = find(data)
    if known is None:
        print(json.dumps({"running": False, "data": str(data)}) if as_json else f"not running (data: {data})")
        return 1
    healthy, answer = health(known["web"])
    version = ""
    try:
        version = str(json.loads(answer).get("version", ""))
    except (ValueError, AttributeError):
        pass
    seconds = uptime_seconds(known["pid"])
    if as_json:
        print(json.dumps({"running": True, "healthy": healthy, "version": version, "uptime_seconds": seconds,
                          "data": str(data), **known}))
    else:
        print(f"{'running' if healthy else 'UNHEALTHY'}  pid {known['pid']}  up {seconds // 3600}h {seconds // 60 % 60}m "
              f"{seconds % 60}s{'  version ' + version if version else ''}")
        print(f"url       {known['web']}")
        print(f"long link {known.get('long_link', '')}")
        print(f"data      {data}")
        if not healthy:
            print(f"/healthz: {answer.strip()[:500]}")
    return 0 if healthy else 1


def down(data):
    known = find(data)
    if known is None:
        print(f"not running (data: {data})")
        return 0
    pid = int(known["pid"])
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError:
        print(f"hongyan: the server (pid {pid}) belongs to another user", file=sys.stderr)
        return 1
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while not ended(pid):
        if time.monotonic() > deadline:
            print(f"hongyan: pid {pid} has not stopped after {STOP_SECONDS_MAX} s; it was asked with SIGTERM", file=sys.stderr)
            return 1
        time.sleep(0.02)
    (data / "server.pid").unlink(missing_ok=True)
    print(f"stopped (pid {pid})")
    return 0


def main():
    parser = argparse.ArgumentParser(prog=f"./hongyan {sys.argv[1]}")
    parser.add_argument("--data", default=os.environ.get("HONGYAN_DATA", str(ROOT / "data")), help="data directory")
    if sys.argv[1] == "status":
        parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    arguments = parser.parse_args(sys.argv[2:])
    data = pathlib.Path(arguments.data).absolute()
    return status(data, arguments.json) if sys.argv[1] == "status" else down(data)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Settings: --check-config, the TOML file, HONGYAN_* variables, what is refused and how; /healthz, /readyz, /metrics."""
import http.client
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from web_client import ROOT, SERVER, Client, Server, befriend, new_password  # noqa: E402


def run(*arguments, variables=None, seconds=20):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HONGYAN_")}
    done = subprocess.run([str(SERVER), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
                          env={**environment, **(variables or {})}, timeout=seconds)
    return done.returncode, done.stdout, done.stderr


def refused(words, *arguments, **more):
    """Status 2 and a message that names what is wrong; nothing is started."""
    code, out, err = run("--check-config", *arguments, **more)
    assert code == 2 and out == "", (code, out, err)
    for word in words:
        assert word in err, f"{word!r} is not in {err!r}"


def settings(folder):
    file = folder / "config.toml"
    code, out, err = run("--check-config")
    assert code == 0 and err == "", err
    names = [line.split(" = ")[0] for line in out.splitlines() if " = " in line]
    assert "web.port" in out or "port = 8080" in out, out
    assert len(names) >= 15, out

    print("what is printed can be read back")
    file.write_text(out)
    code, again, err = run("--check-config", "--config", file)
    assert code == 0, err

    print("default < file < environment < command line")
    file.write_text("[web]\nport = 1111\n[store]\ncache_mib = 64\n")
    def port(*arguments, **more):
        code, out, err = run("--check-config", *arguments, **more)
        assert code == 0, err
        return re.search(r"port\s*=\s*(\d+)", out)[1], out
    assert port()[0] == "8080"
    assert port("--config", file)[0] == "1111"
    assert port("--config", file, variables={"HONGYAN_WEB_PORT": "2222"})[0] == "2222"
    assert port("--config", file, "--port", "3333", variables={"HONGYAN_WEB_PORT": "2222"})[0] == "3333"
    _, out = port("--config", file, variables={"HONGYAN_WEB_PORT": "2222"})
    assert "HONGYAN_WEB_PORT" in out and "config.toml" in out, "it does not say where a value comes from"

    print("what is wrong is named, all of it at once")
    file.write_text("[web]\nprot = 1\n")
    refused(["web.prot", "web.port"], "--config", file)  # And the nearest key.
    file.write_text("[web]\nport = 70000\n[store]\ncache_mib = 0\n")
    refused(["web.port", "65535", "store.cache_mib", "8"], "--config", file)
    file.write_text("[web]\nport = \"eighty\"\n")
    refused(["web.port", "whole number"], "--config", file)
    file.write_text("auth = \"nobody\"\n")
    refused(["auth", "builtin", "integrator", "both"], "--config", file)
    file.write_text("[web\nport = 1\n")
    refused(["config.toml"], "--config", file)
    file.write_bytes(b"\x00\xff\xfe binary")
    refused(["config.toml"], "--config", file)
    file.write_text("a = 1\n" + "#" * (1 << 20))
    refused(["config.toml"], "--config", file)
    refused([str(folder / "nowhere.toml")], "--config", folder / "nowhere.toml")
    refused(["HONGYAN_WEB_PROT"], variables={"HONGYAN_WEB_PROT": "1"})
    refused(["HONGYAN_WEB_PORT"], variables={"HONGYAN_WEB_PORT": "1.5"})
    refused(["HONGYAN_WEB_PORT"], variables={"HONGYAN_WEB_PORT": ""})
    refused(["web.port"], "--port", "-1")
    code, _, err = run("--no-such-option")
    assert code != 0 and "no-such-option" in err, (code, err)
    file.write_text("[web]\nprot = 1\n")
    code, _, err = run("--config", file, "--data", folder / "data")
    assert code == 2 and not (folder / "data").exists(), "it began in spite of a wrong setting"


def taken_port(folder):
    print("a port that is taken")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, out, err = run("--data", folder / "data-port", "--port", port)
        assert code == 1 and f"127.0.0.1:{port}" in err and "ready" not in out, (code, out, err)
        assert "in use" in err, err


def get(server, path, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


METRIC = re.compile(r"^([a-z_][a-z0-9_]*)(\{[^}]*\})? (-?[0-9.eE+]+|\+Inf)$")


def check_metrics(text):
    """The shape of OpenMetrics 1.0: every sample belongs to the family before it, in the family's form; ends with EOF."""
    lines = text.split("\n")
    assert lines[-2:] == ["# EOF", ""], lines[-3:]
    family, kind, seen, values = None, None, set(), {}
    for line in lines[:-2]:
        if line.startswith("# "):
            word, name, *rest = line[2:].split(" ", 2)
            assert word in ("TYPE", "HELP", "UNIT"), line
            if name != family:
                assert name not in seen, f"{name} comes twice"
                seen.add(name)
                family, kind = name, None
            if word == "TYPE":
                kind = rest[0]
                assert kind in ("counter", "gauge", "histogram", "summary", "info", "unknown"), line
            if word == "UNIT":
                assert name.endswith("_" + rest[0]), line
            continue
        found = METRIC.match(line)
        assert found, f"no sample: {line!r}"
        suffix = found[1][len(family):] if found[1].startswith(family) else None
        assert suffix in {"counter": ("_total", "_created"), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum", "_created"),
                          "summary": ("", "_count", "_sum", "_created")}.get(kind, ("",)), (line, family, kind)
        key = found[1] + (found[2] or "")
        assert key not in values, f"{key} comes twice"
        values[key] = float(found[3])
    for key, value in values.items():  # Buckets only grow, and the last is the count.
        if key.endswith('_bucket{le="+Inf"}'):
            assert value == values[key.replace('_bucket{le="+Inf"}', "_count")], key
    return values


def health():
    with Server() as server:
        print("health, readiness, metrics")
        for path in ("/healthz", "/readyz"):
            answer, body = get(server, path)
            assert answer.status == 200 and body == "ok", (path, answer.status, body)
        answer, before = get(server, "/metrics")
        assert answer.status == 200 and answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        before = check_metrics(before)
        a, b = (Client(server, name, new_password()).register() for name in ("anna", "boris"))
        befriend(a, b)
        for n in range(10):
            a.send(b.uin, f"line {n}")
        after = check_metrics(get(server, "/metrics")[1])
        assert after["hongyan_store_commits_total"] > before["hongyan_store_commits_total"] + 10
        assert after["hongyan_entry_requests_total"] >= before["hongyan_entry_requests_total"] + 14
        assert get(server, "/metrics", {"X-Forwarded-For": "203.0.113.9"})[0].status == 403, "seen through a proxy"
        for name in ("anna", "boris", a.ticket, str(a.uin)):
            assert name not in get(server, "/metrics")[1], "somebody's name in the metrics"
        assert server.stop() == 0


def main():
    with tempfile.TemporaryDirectory(prefix="hongyan-config-") as folder:
        settings(pathlib.Path(folder))
        taken_port(pathlib.Path(folder))
    health()
    print("3 passed, 0 failed")


if __name__ == "__main__":
    main()

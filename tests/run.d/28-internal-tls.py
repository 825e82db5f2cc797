#!/usr/bin/env python3
"""TLS between services, with a certificate on both sides, over real processes: two people chat through all of them.
Whoever comes in the clear, or with a certificate of another authority, is refused with a line in the log that says so; a
process without a certificate reaches nobody; tools reach services with the operator's. Keys are readable by the owner
only, stay what they are over a restart and never reach a log."""
import json
import pathlib
import socket
import ssl
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
from services import LIMIT_S, deployed, until  # noqa: E402
from processes import SERVICES  # noqa: E402
from web_client import Client, Refused, Unreached, befriend, new_password  # noqa: E402

RPC = ROOT / "build/bin/hongyan-rpc"
SERVER = ROOT / "build/bin/hongyan-server"


def log_of(deployment, name):
    return (deployment.data / "logs" / f"{name}.log").read_text(errors="replace")


def context_of(directory, name):
    context = trusting(directory)
    context.load_cert_chain(directory / f"{name}.pem", directory / f"{name}.key")
    return context


def trusting(directory):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(directory / "ca.pem")
    return context


def get(address, context, server_name):
    """What a GET for the status page says; raises if the connection does not come about."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=LIMIT_S) as plain:
        with context.wrap_socket(plain, server_hostname=server_name) as stream:
            stream.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return stream.recv(1 << 16).decode(errors="replace")


def refused(work):
    try:
        answer = work()
    except (OSError, ssl.SSLError):
        return
    assert not answer, answer


def certificates(deployment):
    print("a certificate for each service, for its owner alone")
    tls = deployment.data / "internal-tls"
    names = {path.stem for path in tls.glob("*.key")}
    assert names == {name.replace("_", "-") for name in SERVICES} | {"operator"}, names
    secret = [path for path in tls.iterdir()] + [deployment.data / "internal-ca.key"]
    for path in secret:
        assert path.stat().st_mode & 0o077 == 0, path
    assert not (tls / "internal-ca.key").exists() and not (tls / "ca.key").exists(), "the authority's key is given out"
    before = {path.name: path.read_text() for path in tls.iterdir()}
    again = subprocess.run([SERVER, "certificates", "--data", deployment.data, "--to", tls], check=True, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    assert "PRIVATE" not in again.stdout and "BEGIN" not in again.stdout
    assert before == {path.name: path.read_text() for path in tls.iterdir()}, "certificates that are good were replaced"


def strangers(deployment):
    print("in the clear, or with another authority's certificate: refused, and the log says so")
    address = deployment.ready["inbox"]["inbox"]
    tls = deployment.data / "internal-tls"
    assert "200 OK" in get(address, context_of(tls, "operator"), "inbox")
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=LIMIT_S) as plain:
        plain.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while part := plain.recv(1 << 16):
            answer += part
        assert b"HTTP/1.1" not in answer, answer
    foreign = deployment.data / "foreign"
    subprocess.run([SERVER, "certificates", "--data", foreign, "--to", foreign / "tls"], check=True, stdout=subprocess.DEVNULL)
    said = "which shows no certificate of this deployment"
    # They trust the server; the server does not trust them.
    stranger, nobody = trusting(tls), trusting(tls)
    stranger.load_cert_chain(foreign / "tls/operator.pem", foreign / "tls/operator.key")
    for number, context in enumerate((stranger, nobody), 1):
        refused(lambda: get(address, context, "inbox"))
        until(lambda: log_of(deployment, "inbox").count(said) == number, "the log says nothing")
    refused(lambda: get(address, context_of(tls, "operator"), "contact"))  # The inbox is no contact.


def a_service_without(deployment, ann, ben):
    print("a service without a certificate reaches nobody, one of another deployment is no better")
    name = "chat"
    assert deployment.stop(name) == 0
    ours = deployment.config.read_text()
    plain = deployment.data / "plain.toml"
    plain.write_text("\n".join(line for line in ours.splitlines() if not line.startswith("internal_tls.")) + "\n")
    other = deployment.data / "other.toml"
    other.write_text(ours.replace("internal-tls/{service}", "foreign/tls/{service}"))
    for config in (plain, other):
        deployment.config, kept = config, deployment.config
        deployment.start(name)
        deployment.config = kept
        for _ in range(3):
            try:
                ann.send(ben.uin, "never")
                raise AssertionError("it went through")
            except (Refused, Unreached) as error:
                assert not isinstance(error, Refused) or error.error_class in (1, 2), error
        deployment.kill(name)
    deployment.start(name)
    ann.send_until_acked(ben.uin, "with its own again")


def by_hand(deployment, ann):
    print("tools: with the operator's certificate, and not without")
    keys, tls = deployment.data / "keys/account.keys", deployment.data / "internal-tls"
    address = deployment.ready["account"]["account"]

    def rpc(*words):
        return subprocess.run([str(RPC), *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT_S)
    done = rpc("--keys", keys, "--tls", tls, address, "Account.Get", "--uin", ann.uin)
    assert done.returncode == 0 and json.loads(done.stdout)["account"]["profile"]["nickname"] == "ann", done
    assert rpc("--tls", tls, address).stdout.count("Account.") >= 8, "its methods are listed"
    assert rpc("--keys", keys, address, "Account.Get", "--uin", ann.uin).returncode == 1
    own = subprocess.run([*deployment.command("account"), "call", "Get", "--uin", ann.uin], stdout=subprocess.PIPE, text=True)
    assert own.returncode == 0 and json.loads(own.stdout)["account"]["profile"]["nickname"] == "ann", own


def main():
    with deployed("internal-tls", internal_tls=True, ended_before=SERVICES) as (deployment, server):
        ann, ben = (Client(server, name, new_password()).register() for name in ("ann", "ben"))
        befriend(ann, ben)
        ann.send(ben.uin, "hello")
        ben.sync()
        assert ben.texts(ann.uin) == ["hello"]
        certificates(deployment)
        strangers(deployment)
        by_hand(deployment, ann)
        a_service_without(deployment, ann, ben)
        ben.sync()
        assert ben.texts(ann.uin) == ["hello", "with its own again"], ben.texts(ann.uin)
        ended = deployment.stop_all()
        assert ended == {name: 0 for name in SERVICES}, ended
        for log in (deployment.data / "logs").iterdir():
            assert "PRIVATE KEY" not in log.read_text(errors="replace"), log
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A server that leaves the machine speaks TLS: it prints its certificate's fingerprint, which is what a client pins; plain
HTTP, old versions and broken handshakes are refused cleanly; the certificate outlives a restart; one's own is taken."""
import hashlib
import http.client
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import hostile  # noqa: E402
from web_client import SERVER, Client, Server, befriend, new_password  # noqa: E402


def own_address():
    """An address of this machine that is not loopback. No packet is sent."""
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((far, 9))
                return probe.getsockname()[0]
            except OSError:
                continue
    return "0.0.0.0"  # No network at all: everything there is, reached through loopback.


def fingerprint(server):
    found = [re.search(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", line) for line in server.output if "fingerprint" in line]
    assert found and found[0], server.output
    return found[0][0]


def pinned(host, port, expected):
    """A TLS connection to whoever has this certificate, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    link = context.wrap_socket(socket.create_connection((host, port), timeout=10))
    digest = hashlib.sha256(link.getpeercert(binary_form=True)).hexdigest().upper()
    assert digest == expected.replace(":", ""), "another certificate"
    return link


class TlsClient(Client):
    """As Client, with the fingerprint pinned."""

    def __init__(self, server, fingerprint, *rest, **named):
        super().__init__(server, *rest, **named)
        self.fingerprint = fingerprint

    def call(self, path, body=None, timeout=15):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, self.server.port, timeout=timeout)
            self.connection.sock = pinned(self.host, self.server.port, self.fingerprint)
        return super().call(path, body, timeout)


def answered(host, port, data):
    """All that comes back for these bytes; the server must end it by itself, soon."""
    with socket.create_connection((host, port), timeout=8) as link:
        got = b""
        try:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
            while piece := link.recv(4096):
                got += piece
        except (ConnectionResetError, BrokenPipeError, OSError) as error:
            assert not isinstance(error, TimeoutError), "no end"
        return got


def main():
    address = own_address()
    host = "127.0.0.1" if address == "0.0.0.0" else address
    print("listening on", address)
    with Server(options=["--listen", address]) as server:
        assert server.ready["web"].startswith("https://"), server.ready
        pin = fingerprint(server)
        assert (server.data / "tls-key.pem").stat().st_mode & 0o077 == 0, "the key is readable by others"

        anna, boris = (TlsClient(server, pin, name, new_password(), host=host).register() for name in ("anna", "boris"))
        befriend(anna, boris)
        anna.send(boris.uin, "over TLS")
        boris.sync()
        assert [m["digest"] for m in boris.messages if m["kind"] == 1] == ["over TLS"]
        for name in ("anna", "boris"):
            assert name not in "\n".join(server.output)

        print("a wrong pin is noticed, an unknown issuer too")
        try:
            pinned(host, server.port, "00:" * 31 + "00")
            raise SystemExit("any certificate will do")
        except AssertionError:
            pass
        try:
            ssl.create_default_context().wrap_socket(socket.create_connection((host, server.port)), server_hostname=host)
            raise SystemExit("an unknown certificate was trusted")
        except ssl.SSLError:
            pass
        context = ssl.create_default_context(cadata=(server.data / "tls-certificate.pem").read_text())
        with context.wrap_socket(socket.create_connection((host, server.port)), server_hostname=host) as trusted:
            assert trusted.version() in ("TLSv1.2", "TLSv1.3")  # The name in it is that of the address.

        print("plain HTTP and noise end cleanly, and nothing of it is answered in the clear")
        plain = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        cases = [plain, hostile.request("login", {}), b"", b"\x16", b"\x16\x03\x01\xff\xff" + b"x" * 300, os.urandom(2000),
                 b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff", b"\x80\x2e\x01\x00\x02" + os.urandom(44)]
        for case in cases * 20:
            got = answered(host, server.port, case)
            assert b"HTTP" not in got and len(got) < 100, got
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
            old.wrap_socket(socket.create_connection((host, server.port)))
            raise SystemExit("TLS 1.1 was taken")
        except (ssl.SSLError, ValueError, OSError):
            pass

        print("a handshake that never comes is given up")
        start = time.monotonic()
        with socket.create_connection((host, server.port), timeout=20) as silent:
            silent.sendall(b"\x16\x03\x01")
            try:
                silent.recv(1)
            except ConnectionResetError:
                pass
        assert time.monotonic() - start < 15, "held for too long"

        link = pinned(host, server.port, pin)
        link.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = link.recv(4096)
        link.close()
        expected = b"200" if host == "127.0.0.1" else b"403"
        assert head.split()[1] == expected, head[:100]  # Metrics are for the machine itself, and this came from its other side.

        assert server.stop() == 0
        server.output.clear()
        server.start()
        assert fingerprint(server) == pin, "another certificate after a restart"
        anna.connection = None
        anna.sync()
        assert "BEGIN" not in "\n".join(server.output), "a key was printed"
        server.stop()

        print("a certificate that is damaged, or only half given, is named at the start")
        (server.data / "tls-certificate.pem").write_text("damaged\n")
        done = subprocess.run([SERVER, "--data", server.data, "--listen", address, "--port", "0"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=30)
        assert done.returncode == 1 and "certificate" in done.stderr, done
    with tempfile.TemporaryDirectory(prefix="hongyan-tls-") as folder:
        done = subprocess.run([SERVER, "--data", folder + "/data", "--port", "0", "--tls-cert", folder + "/none.pem"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
        assert done.returncode in (1, 2) and "tls" in (done.stderr + done.stdout).lower(), done
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A long link without TLS that leaves the machine takes sealed bodies only: a whole conversation over it, by a client written
from docs/protocol.md; what a listener hears says nothing; whatever is not sealed, or not by whom it should be, is not served."""
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
from protos import compile_protos  # noqa: E402
import seal  # noqa: E402
from web_client import SERVER, Server, new_password  # noqa: E402

# The public vector of the cacophony collection for this protocol, as far as the handshake's secrets go.
FRESH = bytes.fromhex("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a")
FRESH_PUBLIC = "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"


def own_address():
    """An address of this machine that is not loopback. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return "0.0.0.0"


class Wire:
    """Between client and server: keeps every byte of both directions, as somebody on the way would."""

    def __init__(self, host, port):
        self.to, self.heard = (host, port), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(self.to)
            for one, other, up in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._copy, args=(one, other, up), daemon=True).start()

    def _copy(self, one, other, up):
        try:
            while data := one.recv(65536):
                self.heard.append((up, data))
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def bytes(self, up):
        return b"".join(data for way, data in self.heard if way == up)


def code_of(body):
    """Of a plain answer: BaseResponse is field 1, its code field 1."""
    assert body[:2] == b"\x01\x00", body
    message = body[2:]
    assert message[0] == 0x0A and message[2] == 0x08, message
    return message[3]


def ends(link):
    link.socket.settimeout(8)
    assert link.ended(), "answered"


def chat(host, port, pin, password):
    import hongyan_sample as sample
    wire = Wire(host, port)
    rung = threading.Semaphore(0)
    a, b = (sample.Client(sample.LongLink(f"127.0.0.1:{wire.port}", lambda ring: rung.release(), heartbeat_s=0.2, pin=pin)) for _ in range(2))
    a.register("anna", password, "A")
    b.register("bela", password, "B")
    a.ask("friend/add", uin=b.uin, greeting="hi")
    b.ask("friend/accept", uin=a.uin)
    for n in range(20):
        a.send(b.uin, f"line {n} of the sealed talk")
    b.sync()
    assert [m.content.decode() for m in b.messages] == [f"line {n} of the sealed talk" for n in range(20)]
    assert rung.acquire(timeout=10), "no ring came over the sealed link"
    for client in (a, b):
        client.link.close()
    heard = wire.bytes(True) + wire.bytes(False)
    for secret in (password.encode(), b"sealed talk", b"anna", a.ticket):
        assert secret not in heard, secret
    return wire


def main():
    folder = compile_protos()  # noqa: F841
    assert seal.public_of(FRESH).hex() == FRESH_PUBLIC
    address = own_address()
    host = "127.0.0.1" if address == "0.0.0.0" else address
    options = ["--listen", address]
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write("[long_link]\nsealed_port = 0\n")
        config.flush()
        with Server(options=options + ["--config", config.name]) as server:
            port = int(server.ready["sealed_link"].rpartition(":")[2])
            pins = [line.rsplit(" ", 1)[1] for line in server.output if "Key of the sealed long link" in line]
            assert len(pins) == 1 and len(pins[0]) == 66, server.output
            pin = pins[0]
            context = ssl.create_default_context(cadata=(server.data / "tls-certificate.pem").read_text())
            context.check_hostname = host != "127.0.0.1"
            with urllib.request.urlopen(f"https://{host}:{server.port}/seal-key", context=context, timeout=10) as answer:
                assert answer.read().decode() == pin + "\n"

            print("two people talk; who listens learns nothing")
            wire = chat(host, port, pin, new_password())

            print("nothing is served in the clear, and nothing that was heard is served again")
            with seal.Link(host, port) as link:
                link.send(401, 5, b"\x01\x00\x0a\x02\x28\x02")
                cmdid, seq, body = link.receive()
                assert (cmdid, seq, code_of(body)) == (401, 5, 115), body
                link.send(seal.NOOP, 0xFFFFFFFF, b"")
                assert link.receive() == (seal.NOOP, 0xFFFFFFFF, b"")
                link.agree(pin)  # It may still do better.
                link.send(401, 6, b"\x01\x00\x0a\x02\x28\x02")
                assert code_of(link.receive()[2]) == 6
            with socket.create_connection((host, port), timeout=10) as again:  # A whole connection, from its first byte.
                again.sendall(wire.bytes(True))
                got = b""
                try:
                    while piece := again.recv(65536):
                        got += piece
                except ConnectionResetError:
                    pass
                assert len(got) == 20 + 51, f"a replay was answered: {len(got)} bytes"

            def agreed():
                return seal.Link(host, port).agree(pin)

            def ask(link, seq=7, body=b"\x01\x00\x0a\x02\x28\x02"):
                return link.frame(401, seq, link.seal(401, seq, body))
            with agreed() as link:  # In the clear behind a handshake.
                link.socket.sendall(link.frame(401, 7, b"\x01\x00\x0a\x02\x28\x02"))
                ends(link)
            with agreed() as link:  # Twice.
                once = ask(link)
                link.socket.sendall(once)
                assert code_of(link.receive()[2]) == 6
                link.socket.sendall(once)
                ends(link)
            with agreed() as link:  # Behind a later one.
                first, second = ask(link), ask(link)
                link.socket.sendall(second)
                assert code_of(link.receive()[2]) == 6
                link.socket.sendall(first)
                ends(link)
            with agreed() as one, agreed() as other:  # From another link.
                other.socket.sendall(ask(one))
                ends(other)
            for change in (lambda f: f[:8] + struct.pack(">I", 402) + f[12:], lambda f: f[:12] + struct.pack(">I", 9) + f[16:],
                           lambda f: f[:-1] + bytes([f[-1] ^ 1]), lambda f: f[:16] + struct.pack(">I", len(f) - 21) + f[20:-1]):
                with agreed() as link:
                    link.socket.sendall(change(ask(link)))
                    ends(link)

            print("another key than the pinned one is noticed on both sides")
            other_key = f"{pin.split(':')[0]}:{seal.public_of(FRESH).hex()}"
            for wrong in (other_key, "200:" + pin.split(":")[1]):
                with seal.Link(host, port) as link:
                    try:
                        link.agree(wrong)
                        raise SystemExit("any key will do")
                    except seal.Broken:
                        pass
                    ends(link)

            print("TLS is on its own port as before, and the key outlives a restart")
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
            plain = socket.create_connection((host, int(server.ready["long_link"].rpartition(":")[2])), timeout=10)
            with tls.wrap_socket(plain) as link:
                link.sendall(struct.pack(">IIIII", 20, 200, seal.NOOP, 0xFFFFFFFF, 0))
                assert link.recv(20) == struct.pack(">IIIII", 20, 200, seal.NOOP, 0xFFFFFFFF, 0)
            assert server.stop() == 0
            server.output.clear()
            server.start()
            assert any(pin in line for line in server.output), server.output
            with seal.Link(host, port).agree(pin) as link:
                link.send(401, 6, b"\x01\x00\x0a\x02\x28\x02")
                assert code_of(link.receive()[2]) == 6
            assert server.stop() == 0

    print("on loopback a link may be sealed, and need not; a wrong port is named")
    with Server() as server:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/seal-key", timeout=10) as answer:
            pin = answer.read().decode().strip()
        host, port = server.ready["long_link"].rsplit(":", 1)
        for sealed in (False, True):
            with seal.Link(host, port) as link:
                if sealed:
                    link.agree(pin)
                link.send(401, 6, b"\x01\x00\x0a\x02\x28\x02")
                assert code_of(link.receive()[2]) == 6
        assert "sealed_link" not in server.ready
    done = subprocess.run([SERVER, "--check-config"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30,
                          env={"HONGYAN_LONG_LINK_SEALED_PORT": "70000"})
    assert done.returncode == 2 and "long_link.sealed_port" in done.stderr, done
    print("4 passed, 0 failed")


if __name__ == "__main__":
    main()

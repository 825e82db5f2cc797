"""A long link as tests want it: frames by hand, sealed with the sample client's half of the protocol."""
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "clients/sample_python"))
from hongyan_seal import CMD_SEAL, Broken, Handshake, agree, exactly, public_of  # noqa: E402,F401

IDENTIFY, NOOP = 237, 6


class Link:
    """A long link; sealed once agree() was called."""

    def __init__(self, host, port, version=200, timeout=10):
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.version, self.session = version, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def agree(self, pin):
        self.session = agree(self.socket, pin, self.version)
        return self

    def frame(self, cmdid, seq, body):
        return struct.pack(">IIIII", 20, self.version, cmdid, seq, len(body)) + body

    def seal(self, cmdid, seq, body):
        return self.session.seal(cmdid, seq, body)

    def send(self, cmdid, seq, body):
        sealed = self.session and cmdid != NOOP
        self.socket.sendall(self.frame(cmdid, seq, self.seal(cmdid, seq, body) if sealed else body))

    def receive(self):
        head, _, cmdid, seq, length = struct.unpack(">IIIII", exactly(self.socket, 20))
        exactly(self.socket, head - 20)
        body = exactly(self.socket, length)
        if self.session and cmdid != NOOP:
            body = self.session.open(cmdid, seq, body)
        return cmdid, seq, body

    def ended(self):
        """Whether the server closes without another word."""
        try:
            return not self.socket.recv(1)
        except ConnectionResetError:
            return True

"""A client's half of "Sealed bodies" in docs/protocol.md: Noise_NK_25519_ChaChaPoly_SHA256 with the functions of libsodium, which
must be on the machine (Debian: libsodium23).

    session = agree(socket, "1:31e0...", client_version)      # Once, on a fresh link; raises Broken
    body = session.seal(cmdid, seq, plain_body)               # In the order in which the frames are sent
    plain_body = session.open(cmdid, seq, body)"""
import ctypes
import ctypes.util
import hashlib
import hmac
import os
import struct

CMD_SEAL, SEQ_SEAL = 10002, 1
HEAD = struct.Struct(">IIIII")
NAME = b"Noise_NK_25519_ChaChaPoly_SHA256"
sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
if sodium.sodium_init() < 0:
    raise RuntimeError("libsodium does not start")


class Broken(ValueError):
    """What came does not open, or the link has ended."""


def public_of(secret):
    out = ctypes.create_string_buffer(32)
    sodium.crypto_scalarmult_base(out, secret)
    return out.raw


def shared(secret, public):
    out = ctypes.create_string_buffer(32)
    if sodium.crypto_scalarmult(out, secret, public) != 0:
        raise Broken("no key")
    return out.raw


def nonce(number):
    return bytes(4) + struct.pack("<Q", number)


def encrypt(key, number, associated, plain):
    out, size = ctypes.create_string_buffer(len(plain) + 16), ctypes.c_ulonglong
    sodium.crypto_aead_chacha20poly1305_ietf_encrypt(out, None, plain, size(len(plain)), associated, size(len(associated)), None,
                                                     nonce(number), key)
    return out.raw


def decrypt(key, number, associated, sealed):
    out, size = ctypes.create_string_buffer(max(len(sealed) - 16, 1)), ctypes.c_ulonglong
    if len(sealed) < 16 or sodium.crypto_aead_chacha20poly1305_ietf_decrypt(
            out, None, None, sealed, size(len(sealed)), associated, size(len(associated)), nonce(number), key) != 0:
        raise Broken("it does not open")
    return out.raw[:len(sealed) - 16]


def derive(chaining_key, data):
    between = hmac.digest(chaining_key, data, "sha256")
    first = hmac.digest(between, b"\x01", "sha256")
    return first, hmac.digest(between, first + b"\x02", "sha256")


class Handshake:
    """The pinned key is "id:hex", as the server prints it."""

    def __init__(self, pin, secret=None):
        key_id, _, public = pin.partition(":")
        self.secret = secret or os.urandom(32)
        head = bytes([1, 1, 1, int(key_id)])
        self.h = self.ck = NAME
        self.mix(b"hongyan long link " + head)
        self.mix(bytes.fromhex(public))
        mine = public_of(self.secret)
        self.mix(mine)
        self.ck, key = derive(self.ck, shared(self.secret, bytes.fromhex(public)))
        tag = encrypt(key, 0, self.h, b"")
        self.mix(tag)
        self.hello = head + mine + tag

    def mix(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def finish(self, welcome):
        """(key to send with, key to receive with)"""
        if len(welcome) != 51 or welcome[:3] != b"\x01\x01\x02":
            raise Broken(f"no welcome: {welcome[:80]!r}")
        theirs, tag = welcome[3:35], welcome[35:]
        self.mix(theirs)
        self.ck, key = derive(self.ck, shared(self.secret, theirs))
        decrypt(key, 0, self.h, tag)
        return derive(self.ck, b"")


class Session:
    """The keys of one link. Whoever shares it between threads locks around seal and the write behind it."""

    def __init__(self, send_key, receive_key, version):
        self.send_key, self.receive_key, self.version = send_key, receive_key, version
        self.sent = self.heard = 0

    def seal(self, cmdid, seq, body):
        number, self.sent = self.sent, self.sent + 1
        associated = struct.pack(">III", self.version, cmdid, seq)
        return b"\x01\x01\x03" + struct.pack(">Q", number) + encrypt(self.send_key, number, associated, body)

    def open(self, cmdid, seq, body):
        if body[:3] != b"\x01\x01\x03" or len(body) < 11 + 16:
            raise Broken(f"not sealed: {body[:80]!r}")
        number = struct.unpack(">Q", body[3:11])[0]
        if number < self.heard:
            raise Broken("heard before")
        plain = decrypt(self.receive_key, number, struct.pack(">III", self.version, cmdid, seq), body[11:])
        self.heard = number + 1
        return plain


def exactly(link, count):
    data = b""
    while len(data) < count:
        try:
            piece = link.recv(count - len(data))
        except ConnectionResetError:
            piece = b""
        if not piece:
            raise Broken("the link ended")
        data += piece
    return data


def agree(link, pin, version):
    """The first exchange of a link."""
    handshake = Handshake(pin)
    link.sendall(HEAD.pack(HEAD.size, version, CMD_SEAL, SEQ_SEAL, len(handshake.hello)) + handshake.hello)
    head_length, _, cmdid, seq, length = HEAD.unpack(exactly(link, HEAD.size))
    if (head_length, cmdid, seq) != (HEAD.size, CMD_SEAL, SEQ_SEAL) or length > 4096:
        raise Broken("no welcome")
    return Session(*handshake.finish(exactly(link, length)), version)

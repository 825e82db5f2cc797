"""The two ways to a server: JSON over HTTP (one connection kept per thread) and a WebSocket (RFC 6455) for rings.

Promises: certificates are verified, or compared with a pinned SHA-256 fingerprint before a byte of ours is sent; every
wait has a limit; whatever fails below HTTP is Unreachable, and the request may then be sent again."""
import base64
import hashlib
import http.client
import ipaddress
import json
import os
import random
import socket
import ssl
import struct
import threading
import urllib.parse
from typing import Any, Callable

from errors import Refused, Unreachable, Usage

ANSWER_BYTES_MAX = 8 << 20   # The server's own limit of an answer is far below.
FRAME_BYTES_MAX = 1 << 20
LOGGED_OUT_CLOSE = 4001
WS_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Backoff:
    """Doubles from first to most, jittered between half and all of it: clients of a server that comes back do not
    come back in one moment."""

    def __init__(self, first: float = 0.25, most: float = 30.0, chance: Callable[[], float] = random.random) -> None:
        self.first, self.most, self.chance, self.tries = first, most, chance, 0

    def next(self) -> float:
        full = min(self.most, self.first * 2 ** min(self.tries, 20))
        self.tries += 1
        return full / 2 + self.chance() * full / 2

    def reset(self) -> None:
        self.tries = 0


def plain_fingerprint(text: str) -> str:
    """64 hex digits, however it was written; "" stays "": no pin."""
    digits = text.replace(":", "").replace(" ", "").lower().removeprefix("sha256").lstrip("=/")
    if digits and (len(digits) != 64 or any(c not in "0123456789abcdef" for c in digits)):
        raise Usage("A fingerprint is the SHA-256 of the certificate: 64 hex digits, with or without colons.")
    return digits


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Link:
    """One server. Methods may be called from any thread."""

    def __init__(self, url: str, fingerprint: str = "") -> None:
        parts = urllib.parse.urlsplit(url if "://" in url else "http://" + url)
        try:
            port = parts.port
        except ValueError as error:
            raise Usage(f"{url}: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Usage(f"{url} is no server URL; one looks like https://chat.example.org or http://127.0.0.1:8080")
        self.tls = parts.scheme == "https"
        self.host, self.port = parts.hostname, port or (443 if self.tls else 80)
        self.prefix = parts.path.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        self.url = f"{parts.scheme}://{host}:{self.port}{self.prefix}"
        self.fingerprint = plain_fingerprint(fingerprint)
        self._of_thread = threading.local()

    def post(self, path: str, body: dict[str, Any], timeout: float) -> dict[str, Any]:
        connection, fresh = self._connection(timeout)
        text = json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            try:
                connection.request("POST", f"{self.prefix}/api/v1/{path}", text, headers)
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException):
                if fresh:
                    raise
                self.drop()  # The server closed a connection that rested; that says nothing about now.
                connection, _ = self._connection(timeout)
                connection.request("POST", f"{self.prefix}/api/v1/{path}", text, headers)
                answer = connection.getresponse()
            data = answer.read(ANSWER_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            self.drop()
            raise self._unreachable(error) from error
        if answer.status != 200 or len(data) > ANSWER_BYTES_MAX:
            self.drop()
            raise self._odd_answer(answer.status)
        try:
            result = json.loads(data)
            if not isinstance(result, dict):
                raise ValueError("no object")
        except ValueError as error:
            self.drop()
            raise Unreachable(f"{self.url} answers, but not as a Hongyan server does.", lasting=True) from error
        return result

    def drop(self) -> None:
        connection = getattr(self._of_thread, "connection", None)
        if connection is not None:
            connection.close()
        self._of_thread.connection = None

    def open_socket(self, timeout: float) -> socket.socket:
        """Connected, and with TLS also verified."""
        sock = socket.create_connection((self.host, self.port), timeout)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._secure(sock) if self.tls else sock
        except BaseException:
            sock.close()
            raise

    def _secure(self, sock: socket.socket) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        if self.fingerprint:  # The pin takes the place of the chain and the name.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        secured = context.wrap_socket(sock, server_hostname=self.host)
        if self.fingerprint:
            found = hashlib.sha256(secured.getpeercert(True) or b"").hexdigest()
            if found != self.fingerprint:
                secured.close()
                raise Unreachable(f"The certificate of {self.url} is another than the pinned one: it has the "
                                  f"fingerprint {found}.", lasting=True)
        return secured

    def _connection(self, timeout: float) -> tuple[http.client.HTTPConnection, bool]:
        connection = getattr(self._of_thread, "connection", None)
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(timeout)
            return connection, False
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.sock = self.open_socket(timeout)
        except OSError as error:
            raise self._unreachable(error) from error
        self._of_thread.connection = connection
        return connection, True

    def _unreachable(self, error: Exception) -> Unreachable:
        if isinstance(error, ssl.SSLCertVerificationError):
            return Unreachable(f"The certificate of {self.url} is not to be trusted ({error.verify_message}). If it is "
                               "the server's own, give the fingerprint it printed at its start: --fingerprint HEX",
                               lasting=True)
        if isinstance(error, ssl.SSLError):
            return Unreachable(f"No TLS with {self.url}: {error.reason or error}", lasting=True)
        if isinstance(error, TimeoutError):
            return Unreachable(f"{self.url} does not answer in time.")
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        return Unreachable(f"Can't reach {self.url}: {reason}.")

    def _odd_answer(self, status: int) -> Exception:
        if status == 413:
            return Refused(11, debug="HTTP 413")
        busy = status >= 500 or status == 429
        return Unreachable(f"{self.url} answers HTTP {status}" + ("." if busy else "; is it a Hongyan server?"),
                           lasting=not busy)


class WebSocket:
    """Text frames from and to the server. One thread reads; any thread may close."""

    def __init__(self, link: Link, path: str = "/ws", timeout: float = 10.0) -> None:
        try:
            self.sock = link.open_socket(timeout)
        except OSError as error:
            raise link._unreachable(error) from error
        self.buffer = b""
        self.writing = threading.Lock()
        try:
            self._shake(link, path)
        except BaseException as error:
            self.sock.close()
            if isinstance(error, OSError):
                raise link._unreachable(error) from error
            raise

    def _shake(self, link: Link, path: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        host = f"[{link.host}]" if ":" in link.host else link.host
        self.sock.sendall((f"GET {link.prefix}{path} HTTP/1.1\r\nHost: {host}:{link.port}\r\nUpgrade: websocket\r\n"
                           f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > 16384:
                raise Unreachable("The answer to the WebSocket handshake is too long.", lasting=True)
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        wanted = base64.b64encode(hashlib.sha1((key + WS_GUID).encode()).digest()).decode()
        if lines[0].split(" ")[1:2] != ["101"] or fields.get("sec-websocket-accept") != wanted:
            raise Unreachable("No WebSocket there.")

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise Unreachable("The server closed the link.")
        self.buffer += data

    def _need(self, count: int) -> None:
        while len(self.buffer) < count:
            self._more()

    def send(self, text: str) -> None:
        self._send_frame(1, text.encode())

    def _send_frame(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 1 << 16:
            head += bytes([0x80 | 126]) + struct.pack(">H", size)
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", size)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))
        try:
            with self.writing:
                self.sock.sendall(head + mask + masked)
        except OSError as error:
            raise Unreachable(f"The link broke: {error}") from error

    def receive(self, timeout: float) -> str:
        """The next text. `timeout` is of silence: pings count as signs of life, and are answered here."""
        parts: list[bytes] = []
        try:
            self.sock.settimeout(timeout)
            while True:
                final, opcode, payload = self._frame()
                if opcode == 8:
                    code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
                    raise Unreachable("The server closed the link.", close_code=code)
                if opcode == 9:
                    self._send_frame(10, payload)
                elif opcode in (0, 1, 2):
                    parts.append(payload)
                    if sum(map(len, parts)) > FRAME_BYTES_MAX:
                        raise Unreachable("A frame of the server is too long.")
                    if final:
                        return b"".join(parts).decode(errors="replace")
        except (OSError, ValueError) as error:  # ValueError: closed by another thread meanwhile.
            raise Unreachable(f"The link broke: {error}") from error

    def _frame(self) -> tuple[bool, int, bytes]:
        self._need(2)
        first, second = self.buffer[0], self.buffer[1]
        size, at = second & 127, 2
        if size >= 126:
            extra = 2 if size == 126 else 8
            self._need(2 + extra)
            size, at = int.from_bytes(self.buffer[2:2 + extra], "big"), 2 + extra
        if second & 128 or first & 0x70 or size > FRAME_BYTES_MAX:
            raise Unreachable("A frame of the server breaks the WebSocket protocol.")
        self._need(at + size)
        payload, self.buffer = self.buffer[at:at + size], self.buffer[at + size:]
        return bool(first & 128), first & 15, payload

    def close(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Rings:
    """Listens for rings until stopped, in a thread of its own: by WebSocket, by long polling when that does not get
    through, again and again with backoff. tell(what) gets "online", "offline", "ring" or "refused" (the ticket)."""

    SILENCE = 75.0  # The server pings every 30 s.

    def __init__(self, link: Link, identity: Callable[[], dict[str, Any]], poll: Callable[[], bool],
                 tell: Callable[[str], None]) -> None:
        self.link, self.identity, self.poll, self.tell = link, identity, poll, tell
        self.stopping, self.poked = threading.Event(), threading.Event()
        self.socket: WebSocket | None = None
        self.online: bool | None = None
        self.failures = 0
        self.backoff = Backoff(0.5)
        self.thread = threading.Thread(target=self._run, name="rings", daemon=True)

    def start(self) -> "Rings":
        self.thread.start()
        return self

    def stop(self) -> None:
        self.stopping.set()
        self.poked.set()
        if self.socket:
            self.socket.close()

    def poke(self) -> None:
        """Do not wait for the backoff."""
        self.poked.set()

    def _say(self, online: bool) -> None:
        if self.online != online:
            self.online = online
            self.tell("online" if online else "offline")

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._listen()
            except Refused as error:
                if error.transient:
                    self._say(False)
                else:
                    self.tell("refused")
            except Unreachable as error:
                if self.stopping.is_set():
                    return
                self.failures += 1
                if error.close_code == LOGGED_OUT_CLOSE:
                    self.tell("refused")
                if self.failures > 1 and self._poll_once():
                    self.poked.wait(0.5)  # A poll that is answered at once must not become a busy loop.
                    self.poked.clear()
                    continue
                self._say(False)
            except Exception:  # A frame of an unexpected shape, or a profile out of reach: as a broken link.
                self._say(False)
            self.poked.wait(self.backoff.next())
            self.poked.clear()

    def _listen(self) -> None:
        self.socket = WebSocket(self.link)
        try:
            self.socket.send(json.dumps({"id": "1", "path": "identify", "body": {"base": self.identity()}}))
            while not self.stopping.is_set():
                try:
                    frame = json.loads(self.socket.receive(self.SILENCE))
                except ValueError:
                    continue
                if not isinstance(frame, dict):
                    continue
                if frame.get("id") == "1":
                    base = (frame.get("body") or {}).get("base") or {}
                    if base.get("code", 0):
                        raise Refused(int(base["code"]), base.get("class"), str(base.get("debug", "")))
                    self.backoff.reset()
                    self.failures = 0
                    self._say(True)
                    self.tell("ring")  # What came while there was no link.
                ring = frame.get("ring")
                if isinstance(ring, dict):
                    if ring.get("kind", 0) == 2:
                        self.tell("refused")
                    elif ring.get("kind", 0) == 0:
                        self.tell("ring")
        finally:
            self.socket.close()
            self.socket = None

    def _poll_once(self) -> bool:
        try:
            rang = self.poll()
        except Exception:  # Whatever it was, the next round will meet it again and say so.
            return False
        was = self.online
        self._say(True)
        if rang or not was:
            self.tell("ring")
        return True

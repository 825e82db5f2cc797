"""What one device of one account keeps on disk: a profile directory (0700, files 0600).

    profile.json   server URL, certificate pin, device id          session.json   who is logged in, ticket, refresh
    state.json     snapshot, account, contacts, groups, chats      outbox.json    what is not acknowledged yet
    messages/T-ID.jsonl   one chat each, only ever appended        lock, renew.lock, input

Promises: a JSON file is replaced as a whole (temporary file, fsync, rename). Messages are on disk before the snapshot
that says so; a message that was appended twice, or torn by a crash, is read once or not at all. Several processes may
use one directory at the same time: each change happens under the lock, on what is on the disk by then. The lock is
never held while something is asked of a server."""
import contextlib
import fcntl
import json
import os
import pathlib
import secrets
import threading
import time
from typing import Any, Iterator

from errors import Usage

Json = dict[str, Any]
LOCK_SECONDS_MAX = 30.0
FORMAT = 1
_EMPTY: dict[str, Any] = {
    "profile": {"format": FORMAT},
    "session": {},
    "state": {"snapshot": "", "account": {}, "contacts": {}, "groups": {}, "people": {}, "chats": {}},
    "outbox": [],
}


def chat_key(conversation: Json) -> str:
    return f"{int(conversation.get('type', 0))}-{int(conversation.get('id', 0))}"


def conversation_of(key: str) -> Json:
    kind, _, number = key.partition("-")
    return {"type": int(kind), "id": number}


class _Log:
    """The messages of one chat as far as they were read from its file."""

    def __init__(self) -> None:
        self.offset = 0
        self.rows: dict[str, Json] = {}

    def take(self, row: Json) -> None:
        old = self.rows.get(row["key"])
        if old is None or _age(row) >= _age(old):
            self.rows[row["key"]] = row


def _age(row: Json) -> tuple[int, int]:
    return int(row.get("revision", 0)), int(row.get("state", 0))


class Store:
    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        try:
            (directory / "messages").mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chmod(directory, 0o700)
        except OSError as error:
            raise Usage(f"{directory}: {error.strerror}", "profile") from error
        self._thread_lock = threading.RLock()
        self._renew_lock = threading.Lock()
        self._depth = 0
        self._data: dict[str, Any] = {}
        self._seen: dict[str, tuple[int, int, int] | None] = {}
        self._dirty: set[str] = set()
        self._logs: dict[str, _Log] = {}
        with self.locked():
            if not self.profile.get("device_id"):
                self.profile["device_id"] = secrets.token_hex(16)
                self.touch("profile")

    # ---- the JSON files; use them inside locked(), and touch() what was changed

    @property
    def profile(self) -> Json:
        return self._data["profile"]

    @property
    def session(self) -> Json:
        return self._data["session"]

    @property
    def state(self) -> Json:
        return self._data["state"]

    @property
    def outbox(self) -> list[Json]:
        return self._data["outbox"]

    def touch(self, name: str) -> None:
        self._dirty.add(name)

    def replace(self, name: str, value: Any) -> None:
        self._data[name] = value
        self._dirty.add(name)

    @contextlib.contextmanager
    def locked(self) -> Iterator["Store"]:
        with self._thread_lock:
            if self._depth:
                yield self
                return
            with self._file_lock("lock"):
                self._depth = 1
                try:
                    for name in _EMPTY:
                        self._reload(name)
                    yield self
                    for name in sorted(self._dirty):
                        self._save(name)
                except BaseException:
                    for name in self._dirty:
                        self._seen.pop(name, None)  # Half a change: what is on the disk counts.
                    raise
                finally:
                    self._dirty.clear()
                    self._depth = 0

    @contextlib.contextmanager
    def renewing(self) -> Iterator[None]:
        """One process and thread at a time asks for a new ticket. This one may be held while the server is asked."""
        with self._renew_lock, self._file_lock("renew.lock"):
            yield

    @contextlib.contextmanager
    def _file_lock(self, name: str) -> Iterator[None]:
        handle = os.open(self.directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            limit = time.monotonic() + LOCK_SECONDS_MAX
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > limit:
                        raise Usage(f"Another process holds {self.directory / name}.", "profile") from None
                    time.sleep(0.005)
            yield
        finally:
            os.close(handle)  # Unlocks, too.

    def _path(self, name: str) -> pathlib.Path:
        return self.directory / f"{name}.json"

    def _signature(self, name: str) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path(name))
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _reload(self, name: str) -> None:
        signature = self._signature(name)
        if name in self._seen and self._seen[name] == signature:
            return
        empty = json.loads(json.dumps(_EMPTY[name]))
        if signature is None:
            self._data[name] = empty
        else:
            try:
                value = json.loads(self._path(name).read_text())
                if type(value) is not type(empty):
                    raise ValueError("another shape")
            except (OSError, ValueError) as error:
                raise Usage(f"{self._path(name)} can't be read: {error}", "profile") from error
            self._data[name] = {**empty, **value} if isinstance(empty, dict) else value
        if name == "profile" and self.profile.get("format", 0) > FORMAT:
            raise Usage(f"{self.directory} was written by a newer client.", "profile")
        self._seen[name] = signature

    def _save(self, name: str) -> None:
        path = self._path(name)
        temporary = path.with_suffix(".new")
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump(self._data[name], file, separators=(",", ":"))
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, path)
            self._sync_directory(self.directory)
        except OSError as error:
            raise Usage(f"{path}: {error.strerror}", "profile") from error
        self._seen[name] = self._signature(name)

    @staticmethod
    def _sync_directory(path: pathlib.Path) -> None:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    # ---- messages

    def _log_path(self, chat: str) -> pathlib.Path:
        return self.directory / "messages" / f"{chat}.jsonl"

    def log(self, chat: str) -> dict[str, Json]:
        """All messages of a chat by key; call it inside locked()."""
        log = self._logs.setdefault(chat, _Log())
        try:
            with open(self._log_path(chat), "rb") as file:
                file.seek(log.offset)
                data = file.read()
        except FileNotFoundError:
            return log.rows
        whole = data.rfind(b"\n") + 1  # What follows is torn, or still being written.
        for line in data[:whole].split(b"\n"):
            try:
                row = json.loads(line) if line else None
            except ValueError:
                continue
            if isinstance(row, dict) and row.get("key"):
                log.take(row)
        log.offset += whole
        return log.rows

    def append(self, chat: str, rows: list[Json]) -> None:
        """Durable when it returns; call it inside locked()."""
        if not rows:
            return
        path = self._log_path(chat)
        data = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode()
        try:
            fresh = not path.exists()
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(handle).st_size
                if size and os.pread(handle, 1, size - 1) != b"\n":
                    data = b"\n" + data  # A crash tore the last line; it stays alone.
                while data:
                    data = data[os.write(handle, data):]
                os.fsync(handle)
            finally:
                os.close(handle)
            if fresh:
                self._sync_directory(path.parent)
        except OSError as error:
            raise Usage(f"{path}: {error.strerror}", "profile") from error

    def messages(self, chat: str) -> list[Json]:
        """Oldest first; call it inside locked()."""
        return sorted(self.log(chat).values(), key=lambda row: int(row.get("position", 0)))

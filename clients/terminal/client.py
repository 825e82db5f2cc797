"""The client as a library: one device of one account on one server, with everything it knows in a Store.

    client = Client(Store(path), Link(url))
    client.login("alice", password); client.queue(client.resolve("bob"), "hi"); client.flush(); client.sync()

Promises: what is queued is on disk before it is sent, goes out in the order it was written, is sent again under the same
client_msg_id until the server answers, for seven days. A snapshot is stored after what it acknowledges. A reset never
deletes local history. The ticket renews itself; when even the refresh is refused, NotLoggedIn. What fails for the moment
is tried again here for `patience` seconds. Methods may be called from several threads and processes."""
import base64
import dataclasses
import os
import platform
import re
import time
import uuid
from typing import Any, Callable, Iterable

from errors import BAD_SNAPSHOT, LOG_IN, NotLoggedIn, Refused, Unreachable, Usage
from store import Json, Store, chat_key, conversation_of
from text import cut_bytes, one_line
from wire import Backoff, Link

DIRECT, GROUP = 1, 2
TEXT, SYSTEM = 1, 2
FRIEND, ASKED, ASKS_ME, STRANGER = 1, 2, 3, 4
NO_UNREAD, NO_LIST = 1, 4
GROUP_BIT = 1 << 42
CONTENT_BYTES_MAX = 32 * 1024
DIGEST_BYTES_MAX = 256
BATCH_MESSAGES_MAX = 16
BATCH_BYTES_MAX = 400 * 1024        # Of the 1 MiB of a request, in base64.
MARKED_MAX = 500                    # Messages of a muted or large group that one sync fetches; `history` has the rest.
RESEND_MS_MAX = 7 * 24 * 3600 * 1000
REQUEST_SECONDS_MAX = 15.0
CLIENT_VERSION = 1


def number(value: Any) -> int:
    """64-bit integers are strings in protobuf JSON; an absent one is 0."""
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def from_base64(text: Any) -> bytes:
    try:
        return base64.b64decode(str(text or ""))
    except ValueError:
        return b""


def text_of(message: Json) -> str:
    """What a person reads, as it came: pass it through text.clean() before printing."""
    state = number(message.get("state"))
    if state:
        return {1: "(recalled)", 2: "(expired)", 3: "(removed by a moderator)"}.get(state, "(gone)")
    if number(message.get("kind")) == TEXT:
        return from_base64(message.get("content")).decode(errors="replace")
    return str(message.get("digest") or f"(a message of kind {number(message.get('kind'))})")


@dataclasses.dataclass(frozen=True)
class Event:
    """One piece of news. what: message, update, chat, contact, group, account, reset."""
    what: str
    value: Json


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Of one message of the outbox. error: why it was refused for good; None: it is acknowledged."""
    row: Json
    sent: Json
    error: Refused | None = None


class Client:
    def __init__(self, store: Store, link: Link, patience: float = 10.0,
                 sleep: Callable[[float], None] = time.sleep, now: Callable[[], float] = time.time) -> None:
        self.store, self.link, self.patience, self.sleep, self.now = store, link, patience, sleep, now
        self._kept = False

    # ---- requests

    def base(self) -> Json:
        with self.store.locked() as store:
            base: Json = {"featureLevel": 2, "clientVersion": CLIENT_VERSION, "locale": _locale(),
                          "deviceId": to_base64(bytes.fromhex(store.profile["device_id"]))}
            if store.session.get("ticket"):
                base["ticket"] = store.session["ticket"]
            return base

    def call(self, path: str, body: Json | None = None, anonymous: bool = False, patience: float | None = None) -> Json:
        """The answer of one command, after as many tries as its errors' classes and the patience allow."""
        limit = time.monotonic() + (self.patience if patience is None else patience)
        backoff, renewed = Backoff(0.1, 5.0), False
        while True:
            base = self.base()
            if anonymous:
                base.pop("ticket", None)
            elif not base.get("ticket"):
                raise NotLoggedIn()
            left = limit - time.monotonic()
            try:
                return self._ask(path, {**(body or {}), "base": base}, min(REQUEST_SECONDS_MAX, max(1.0, left)))
            except Unreachable as error:
                wait, failure = backoff.next(), error
                if error.lasting:
                    raise
            except Refused as error:
                if error.error_class == LOG_IN and not anonymous and not renewed:
                    self._renew(base["ticket"])
                    renewed = True
                    continue
                if error.error_class == LOG_IN and not anonymous:
                    raise NotLoggedIn(error.text) from error
                if not error.transient or error.code == BAD_SNAPSHOT:
                    raise
                wait, failure = max(backoff.next(), error.retry_after_ms / 1000), error
            if time.monotonic() + wait > limit:
                raise failure
            self.sleep(wait)

    def _ask(self, path: str, body: Json, timeout: float) -> Json:
        answer = self.link.post(path, body, timeout)
        self._keep_server()
        base = answer.get("base") or {}
        if base.get("newTicket"):
            with self.store.locked() as store:
                if store.session.get("ticket") == body["base"].get("ticket"):  # Not that of another login meanwhile.
                    store.session["ticket"] = base["newTicket"]
                    store.touch("session")
        code = number(base.get("code"))
        if code:
            error_class = number(base["class"]) if base.get("class") else None
            raise Refused(code, error_class, one_line(str(base.get("debug", ""))), number(base.get("retryAfterMs")), answer)
        return answer

    def _keep_server(self) -> None:
        """Which server, and which certificate, once they have answered."""
        if self._kept:
            return
        with self.store.locked() as store:
            found = {"server": self.link.url, "fingerprint": self.link.fingerprint}
            if any(store.profile.get(key) != value for key, value in found.items()):
                store.profile.update(found)
                store.touch("profile")
        self._kept = True

    def _renew(self, refused: str) -> None:
        """A new ticket by the refresh secret; nothing to do if somebody else has got one meanwhile."""
        with self.store.renewing():
            with self.store.locked() as store:
                session = dict(store.session)
            if session.get("ticket") != refused:
                return
            body = {"refresh": session.get("refresh", ""), "device": self.device()}
            base = self.base()
            base.pop("ticket", None)
            try:
                answer = self._ask("login", {**body, "base": base}, REQUEST_SECONDS_MAX)
            except Refused as error:
                if error.transient:
                    raise
                with self.store.locked() as store:
                    store.session.pop("ticket", None)
                    store.session.pop("refresh", None)
                    store.touch("session")
                raise NotLoggedIn("This device was logged out; log in again.") from error
            self._opened(answer, session.get("user_name", ""))

    # ---- who I am

    def device(self) -> Json:
        with self.store.locked() as store:
            device = to_base64(bytes.fromhex(store.profile["device_id"]))
        return {"id": device, "platform": 5, "model": cut_bytes(platform.node() or "terminal", 64),
                "os": cut_bytes(f"{platform.system()} {platform.release()}", 64), "appVersion": str(CLIENT_VERSION),
                "locale": _locale(), "kinds": [TEXT, SYSTEM]}

    @property
    def uin(self) -> str:
        with self.store.locked() as store:
            return str(store.session.get("uin", ""))

    @property
    def logged_in(self) -> bool:
        with self.store.locked() as store:
            return bool(store.session.get("ticket"))

    def whoami(self) -> Json:
        with self.store.locked() as store:
            profile = store.state["account"].get("profile") or {}
            return {"uin": str(store.session.get("uin", "")), "user_name": store.session.get("user_name", ""),
                    "nickname": profile.get("nickname", ""), "server": self.link.url,
                    "device_id": store.profile["device_id"], "logged_in": bool(store.session.get("ticket"))}

    def _must_be_out(self) -> None:
        if self.logged_in:
            who = self.whoami()
            raise Usage(f"This profile is logged in as {who['user_name'] or who['uin']}; log out first, or use another "
                        "--profile.", "logged_in")

    def register(self, user_name: str, password: str, nickname: str = "") -> Json:
        self._must_be_out()
        with self.store.locked() as store:
            if store.session.get("uin"):
                raise Usage("This profile directory holds the messages of another account; use a new one.", "other_account")
        return self._opened(self.call("register", {"userName": user_name, "password": password, "device": self.device(),
                                                   "nickname": nickname or user_name}, anonymous=True), user_name)

    def login(self, user_name: str, password: str) -> Json:
        self._must_be_out()
        credential = {"userName": user_name, "password": password}
        return self._opened(self.call("login", {"password": credential, "device": self.device()}, anonymous=True), user_name)

    def _opened(self, answer: Json, user_name: str) -> Json:
        with self.store.locked() as store:
            uin, before = str(answer.get("uin", "")), str(store.session.get("uin", ""))
            if before and before != uin:
                raise Usage("This profile directory holds the messages of another account; use a new one.", "other_account")
            account = answer.get("account") or {}
            store.replace("session", {"uin": uin, "ticket": answer.get("ticket", ""), "refresh": answer.get("refresh", ""),
                                      "user_name": (account.get("profile") or {}).get("userName") or user_name})
            if account:
                store.state["account"] = account
                store.touch("state")
            return self.whoami()

    def logout(self) -> None:
        """Messages stay; the same account may log in again."""
        if not self.logged_in:
            raise NotLoggedIn()
        try:
            self.call("logout")
        except NotLoggedIn:
            pass
        with self.store.locked() as store:
            store.session.pop("ticket", None)
            store.session.pop("refresh", None)
            store.touch("session")

    def set_password(self, old: str, new: str) -> None:
        answer = self.call("password/set", {"oldPassword": old, "newPassword": new})
        with self.store.locked() as store:
            for name in ("ticket", "refresh"):
                if answer.get(name):
                    store.session[name] = answer[name]
            store.touch("session")

    def my_profile(self) -> Json:
        return self.call("profile/get").get("profile") or {}

    def set_profile(self, **values: Any) -> Json:
        """nickname, avatarColor, signature."""
        names = {"nickname": "nickname", "avatarColor": "avatar_color", "signature": "signature"}
        account = self.call("profile/set", {**values, "fields": [names[key] for key in values]}).get("account") or {}
        with self.store.locked() as store:
            store.state["account"] = account
            store.touch("state")
        return account.get("profile") or {}

    def devices(self) -> list[Json]:
        return self.call("device/list").get("devices") or []

    def kick(self, hex_or_start: str) -> str:
        start = hex_or_start.lower()
        found = [d for d in (from_base64(row.get("id")).hex() for row in self.devices()) if d.startswith(start)]
        if len(found) != 1 or len(start) < 4:
            raise Usage(f"{hex_or_start}: give the device id, or at least 4 digits that only one of them begins with.")
        self.call("device/kick", {"deviceId": to_base64(bytes.fromhex(found[0]))})
        return found[0]

    # ---- names

    def name(self, uin: Any) -> str:
        """How to show a person; clean."""
        uin = str(uin or "")
        with self.store.locked() as store:
            if uin == str(store.session.get("uin", "")):
                profile = store.state["account"].get("profile") or {}
                return one_line(profile.get("nickname") or store.session.get("user_name") or uin)
            contact = store.state["contacts"].get(uin) or {}
            profile = contact.get("profile") or store.state["people"].get(uin) or {}
            shown = one_line(contact.get("remark") or "") or one_line(profile.get("nickname") or "") \
                or one_line(profile.get("userName") or "") or uin
            return f"{shown} ({uin})" if shown.casefold() == "you" else shown  # Only I am "you".

    def chat_name(self, chat: str) -> str:
        """How to show a conversation; clean."""
        where = conversation_of(chat)
        if where["type"] == GROUP:
            with self.store.locked() as store:
                return one_line((store.state["groups"].get(where["id"]) or {}).get("name") or "") or f"group {where['id']}"
        return self.name(where["id"])

    def names(self, groups: bool = True) -> list[str]:
        """What a person may type for somebody or some group, for completion."""
        with self.store.locked() as store:
            found = [one_line((c.get("profile") or {}).get("userName") or "") for c in store.state["contacts"].values()
                     if number(c.get("state")) in (FRIEND, ASKED, ASKS_ME)]
            if groups:
                found += [one_line(group.get("name") or "") for group in self._my_groups().values()]
        return sorted({name for name in found if name})

    def _my_groups(self) -> dict[str, Json]:
        return {i: g for i, g in self.store.state["groups"].items() if not g.get("left") and not g.get("dissolved")}

    def resolve(self, who: str, people: bool = True, groups: bool = True, ask: bool = True) -> str:
        """The chat key of a person (user name, number, or a remark or nickname that is unambiguous) or a group (number
        or name). What is not known here is looked for on the server."""
        who = who.strip()
        found = self._known(who, people, groups)
        if not found and ask:
            self.sync()
            found = self._known(who, people, groups)
        if not found and ask and people and not who.isdigit():
            return f"{DIRECT}-{self.find(who.removeprefix('@'))[0]['uin']}"
        if not found:
            raise Refused(8, debug=f"nobody and no group is called {one_line(who)}")
        if len(found) > 1:
            shown = ", ".join(f"{self.chat_name(chat)} ({chat.partition('-')[2]})" for chat in sorted(found))
            raise Usage(f"{one_line(who)} may be {shown}; use the number or the user name.", "ambiguous")
        return found.pop()

    def _known(self, who: str, people: bool, groups: bool) -> set[str]:
        if who.isdigit() and 0 < int(who) < 1 << 53:
            kind = GROUP if int(who) & GROUP_BIT else DIRECT
            return {f"{kind}-{int(who)}"} if (groups if kind == GROUP else people) else set()
        exact, other, wanted = set(), set(), who.removeprefix("@").casefold()
        with self.store.locked() as store:
            if people:
                if wanted == store.session.get("user_name", "").casefold():
                    exact.add(f"{DIRECT}-{store.session['uin']}")
                for uin, contact in store.state["contacts"].items():
                    profile = contact.get("profile") or {}
                    if (profile.get("userName") or "").casefold() == wanted:
                        exact.add(f"{DIRECT}-{uin}")
                    elif number(contact.get("state")) == 0:
                        continue
                    elif wanted in ((contact.get("remark") or "").casefold(), (profile.get("nickname") or "").casefold()):
                        other.add(f"{DIRECT}-{uin}")
            if groups:
                other |= {f"{GROUP}-{i}" for i, g in self._my_groups().items() if (g.get("name") or "").casefold() == wanted}
        return exact or (other if not who.startswith("@") else set())

    def person(self, who: str) -> str:
        return self.resolve(who, groups=False).partition("-")[2]

    def group(self, who: str) -> str:
        return self.resolve(who, people=False).partition("-")[2]

    # ---- people

    def find(self, who: str) -> tuple[Json, Json]:
        """Profile, and how I stand to them."""
        answer = self.call("user/find", {"uin": who} if who.isdigit() else {"userName": who.removeprefix("@")})
        profile = answer.get("profile") or {}
        if profile.get("uin"):
            self._remember({str(profile["uin"]): profile})
        return profile, answer.get("contact") or {}

    def _remember(self, people: dict[str, Json]) -> None:
        with self.store.locked() as store:
            if any(store.state["people"].get(uin) != profile for uin, profile in people.items()):
                store.state["people"].update(people)
                store.touch("state")

    def _take_contact(self, answer: Json) -> Json:
        contact = answer.get("contact") or {}
        with self.store.locked() as store:
            self._apply_contact(contact)
            return store.state["contacts"].get(str(contact.get("uin", ""))) or contact

    def add(self, uin: str, greeting: str = "") -> Json:
        return self._take_contact(self.call("friend/add", {"uin": uin, "greeting": greeting}))

    def accept(self, uin: str) -> Json:
        return self._take_contact(self.call("friend/accept", {"uin": uin}))

    def remove(self, uin: str) -> Json:
        return self._take_contact(self.call("friend/remove", {"uin": uin}))

    def block(self, uin: str, blocked: bool) -> Json:
        return self._take_contact(self.call("contact/set", {"uin": uin, "blocked": blocked, "fields": ["blocked"]}))

    def remark(self, uin: str, remark: str) -> Json:
        return self._take_contact(self.call("contact/set", {"uin": uin, "remark": remark, "fields": ["remark"]}))

    def contacts(self) -> list[Json]:
        """Friends and requests, by name."""
        with self.store.locked() as store:
            rows = [c for c in store.state["contacts"].values() if number(c.get("state")) in (FRIEND, ASKED, ASKS_ME)
                    or c.get("blocked")]
            return sorted(rows, key=lambda c: (self.name(c["uin"]).casefold(), number(c["uin"])))

    # ---- groups

    def _take_group(self, answer: Json) -> Json:
        group = answer.get("group") or {}
        with self.store.locked() as store:
            self._apply_group(group)
            store.touch("state")
        return group

    def create_group(self, name: str, members: Iterable[str]) -> Json:
        return self._take_group(self.call("group/create", {"clientGroupId": str(uuid.uuid4()), "name": name,
                                                           "members": list(members)}))

    def get_group(self, group: str, patience: float | None = None) -> Json:
        return self._take_group(self.call("group/get", {"group": group, "members": True}, patience=patience))

    def rename_group(self, group: str, name: str) -> Json:
        return self._take_group(self.call("group/rename", {"group": group, "name": name}))

    def add_members(self, group: str, members: Iterable[str]) -> Json:
        return self._take_group(self.call("group/add", {"group": group, "members": list(members)}))

    def remove_members(self, group: str, members: Iterable[str]) -> Json:
        return self._take_group(self.call("group/remove", {"group": group, "members": list(members)}))

    def set_admins(self, group: str, members: Iterable[str], admin: bool) -> Json:
        return self._take_group(self.call("group/admin", {"group": group, "members": list(members), "admin": admin}))

    def leave_group(self, group: str) -> None:
        self.call("group/leave", {"group": group})
        with self.store.locked() as store:
            if group in store.state["groups"]:
                store.state["groups"][group]["left"] = True
                store.touch("state")

    # ---- the outbox

    def queue(self, chat: str, text: str) -> Json:
        """Puts a text on disk, to be sent by flush() of this or any later process."""
        data = text.encode(errors="replace")
        if not data:
            raise Usage("There is nothing to send: the text is empty.")
        if len(data) > CONTENT_BYTES_MAX:
            raise Usage(f"The text has {len(data)} bytes; a message holds {CONTENT_BYTES_MAX}.", "too_large")
        row = {"client_msg_id": str(uuid.uuid4()), "chat": chat, "content": to_base64(data), "state": "queued",
               "digest": cut_bytes(one_line(text), DIGEST_BYTES_MAX), "client_time_ms": int(self.now() * 1000)}
        with self.store.locked() as store:
            store.outbox.append(row)
            store.touch("outbox")
        return row

    def waiting(self, state: str = "queued") -> list[Json]:
        with self.store.locked() as store:
            return [dict(row) for row in store.outbox if row["state"] == state]

    def forget(self, ids: Iterable[str]) -> None:
        gone = set(ids)
        with self.store.locked() as store:
            store.replace("outbox", [row for row in store.outbox if row["client_msg_id"] not in gone])

    def retry_failed(self) -> int:
        """Gives what was refused another chance, under the same id."""
        with self.store.locked() as store:
            failed = [row for row in store.outbox if row["state"] == "failed"]
            for row in failed:
                row.update(state="queued", client_time_ms=int(self.now() * 1000))
                row.pop("error", None)
            store.touch("outbox")
            return len(failed)

    def flush(self, patience: float | None = None, done: Callable[[Outcome], None] | None = None) -> list[Outcome]:
        """Sends all that waits, each chat in its order. A message that is refused for good does not hold up the next.
        An error is raised after the other chats had their turn."""
        outcomes: list[Outcome] = []
        failure: Refused | Unreachable | None = None
        stuck: set[str] = set()
        limit = time.monotonic() + (self.patience if patience is None else patience)
        while True:
            batch = self._next_batch(stuck)
            if not batch:
                break
            try:
                settled = self._send(batch, max(0.0, limit - time.monotonic()))
            except (Refused, Unreachable) as error:
                failure = error
                stuck.add(batch[0]["chat"])
                if isinstance(error, Unreachable):
                    break
                continue
            for outcome in settled:
                if done:
                    done(outcome)
            outcomes += settled
        if failure:
            raise failure
        return outcomes

    def _next_batch(self, stuck: set[str]) -> list[Json]:
        batch: list[Json] = []
        size = 0
        old = self.now() * 1000 - RESEND_MS_MAX
        for row in self.waiting():
            if row["chat"] in stuck or batch and row["chat"] != batch[0]["chat"]:
                continue
            if row["client_time_ms"] < old:
                self._fail(row["client_msg_id"], "too_old")  # From here on a person decides.
                continue
            size += len(row["content"]) + 1024
            if batch and (len(batch) == BATCH_MESSAGES_MAX or size > BATCH_BYTES_MAX):
                break
            batch.append(row)
        return batch

    def _fail(self, client_msg_id: str, why: str) -> None:
        with self.store.locked() as store:
            for row in store.outbox:
                if row["client_msg_id"] == client_msg_id:
                    row.update(state="failed", error=why)
            store.touch("outbox")

    def _send(self, batch: list[Json], patience: float) -> list[Outcome]:
        messages = [{"conversation": conversation_of(row["chat"]), "clientMsgId": row["client_msg_id"], "kind": TEXT,
                     "content": row["content"], "digest": row["digest"], "clientTimeMs": str(row["client_time_ms"])}
                    for row in batch]
        refused: Refused | None = None
        try:
            answer = self.call("send", {"messages": messages}, patience=patience)
        except Refused as error:
            answer, refused = error.answer, error
        by_id = {row["client_msg_id"]: row for row in batch}
        outcomes: list[Outcome] = []
        for sent in answer.get("sent") or []:
            row = by_id.pop(sent.get("clientMsgId", ""), None)
            if row is None:
                continue
            if number(sent.get("code")):
                refused = refused if refused and refused.code == number(sent["code"]) else Refused(number(sent["code"]))
                by_id[row["client_msg_id"]] = row
                break
            outcomes.append(Outcome(row, sent))
        if outcomes:
            self.forget(outcome.row["client_msg_id"] for outcome in outcomes)
        if refused:
            if refused.transient and not outcomes:
                raise refused
            if not refused.transient:
                row = next(row for row in batch if row["client_msg_id"] in by_id)
                self._fail(row["client_msg_id"], refused.name)
                outcomes.append(Outcome(row, {}, refused))
        elif not outcomes:
            raise Refused(15, debug="the server's answer says nothing about the messages sent")
        return outcomes

    # ---- sync

    def snapshot(self) -> str:
        with self.store.locked() as store:
            return str(store.state["snapshot"])

    def sync(self, patience: float | None = None) -> list[Event]:
        """Everything that is new, stored; the news in order."""
        news: list[Event] = []
        while True:
            snapshot = self.snapshot()
            try:
                answer = self.call("sync", {"snapshot": snapshot} if snapshot else {}, patience=patience)
            except Refused as error:
                if error.code != BAD_SNAPSHOT or not snapshot:
                    raise
                with self.store.locked() as store:
                    if store.state["snapshot"] == snapshot:
                        store.state["snapshot"] = ""
                        store.touch("state")
                continue
            with self.store.locked() as store:
                if store.state["snapshot"] != snapshot:
                    continue  # Another process was quicker; it has stored what this answer holds.
                news += self._apply(answer)
                store.state["snapshot"] = answer.get("snapshot", "")
                store.touch("state")
            if not answer.get("more"):
                break
        news += self._fill_marked(patience)
        self._meet_strangers(news, patience)
        return news

    def _fill_marked(self, patience: float | None) -> list[Event]:
        """The messages that markers stand for, by history. What can't be asked for now is asked for with the next sync;
        of very many only the newest are news, `history` shows the rest."""
        with self.store.locked() as store:
            marked = {chat: dict(row["marked"]) for chat, row in store.state["chats"].items() if row.get("marked")}
        news: list[Event] = []
        for chat, hole in sorted(marked.items()):
            rows: list[Json] = []
            try:
                before, more = hole["up_to"] + 1, True
                while more and before > hole["known"] + 1 and len(rows) < MARKED_MAX:
                    known = {m["key"] for m in self.stored(chat, MARKED_MAX, before)}
                    page, more = self.history(chat, 100, before, patience)
                    rows = [m for m in page if m.get("key") not in known] + rows
                    if not page:
                        break
                    before = number(page[0].get("position"))
            except Unreachable:
                continue
            except Refused as error:
                if error.transient:
                    continue
            news += [Event("message", message) for message in rows]
            with self.store.locked() as store:
                if self._chat(chat).get("marked") == hole:
                    del self._chat(chat)["marked"]
                self._count_unread(chat)
                store.touch("state")
            if rows:
                news.append(Event("chat", {"chat": chat}))
        return news

    def _meet_strangers(self, news: list[Event], patience: float | None) -> None:
        """Names of people in groups who are not contacts. Nice to have: an error is not the caller's."""
        with self.store.locked() as store:
            known = {*store.state["contacts"], *store.state["people"], str(store.session.get("uin", ""))}
        groups = {str(e.value["conversation"]["id"]) for e in news if e.what == "message"
                  and number(e.value["conversation"].get("type")) == GROUP and str(e.value.get("sender", "")) not in known}
        for group in sorted(groups)[:20]:
            try:
                self.get_group(group, patience)
            except (Refused, Unreachable):
                continue

    def _apply(self, answer: Json) -> list[Event]:
        news: list[Event] = [Event("reset", {})] if answer.get("reset") else []
        fresh: dict[str, list[Json]] = {}
        touched: set[str] = set()
        for entry in answer.get("entries") or []:
            if entry.get("message"):
                message = entry["message"]
                chat = chat_key(message.get("conversation") or {})
                if self._is_fresh(chat, message, fresh):
                    news.append(Event("message", message))
                self._take_last(self._chat(chat), message)
                touched.add(chat)
            elif entry.get("update"):
                news += self._apply_update(entry["update"], fresh)
            elif entry.get("state"):
                touched.add(self._apply_state(entry["state"]))
            elif entry.get("marker"):
                touched.add(self._apply_marker(entry["marker"], fresh))
            elif entry.get("contact"):
                if self._apply_contact(entry["contact"]):
                    news.append(Event("contact", entry["contact"]))
            elif entry.get("account"):
                self.store.state["account"] = entry["account"]
                news.append(Event("account", entry["account"]))
            elif entry.get("group"):
                group = {"id": entry["group"].get("group"), **(entry["group"].get("state") or {})}
                self._apply_group(group)
                news.append(Event("group", group))
        for chat, rows in fresh.items():
            self.store.append(chat, rows)
        for chat in sorted(touched):
            self._count_unread(chat)
            news.append(Event("chat", {"chat": chat}))
        return news

    def _is_fresh(self, chat: str, message: Json, fresh: dict[str, list[Json]]) -> bool:
        if not message.get("key"):
            return False
        row = fresh.setdefault(chat, [])
        known = message["key"] in self.store.log(chat) or any(m["key"] == message["key"] for m in row)
        row.append(message)
        if str(message.get("sender", "")) == str(self.store.session.get("uin")) and message.get("clientMsgId"):
            self.forget([message["clientMsgId"]])
        return not known

    def _chat(self, chat: str) -> Json:
        return self.store.state["chats"].setdefault(chat, {"last_position": 0, "read_position": 0, "base_last": 0,
                                                           "base_unread": 0, "unread": 0, "time": 0, "version": 0})

    @staticmethod
    def _take_last(row: Json, message: Json) -> None:
        position = number(message.get("position"))
        if position < row["last_position"]:
            return
        row["last_position"] = position
        if number(message.get("flags")) & NO_LIST:
            return
        row["last"] = {key: message[key] for key in ("key", "sender", "digest", "kind", "state", "serverTimeMs") if key in message}
        if number(message.get("kind")) == SYSTEM:
            row["last"]["content"] = message.get("content", "")
        row["time"] = max(row["time"], number(message.get("serverTimeMs")))
        row["hidden"] = False

    def _apply_update(self, update: Json, fresh: dict[str, list[Json]]) -> list[Event]:
        chat = chat_key(update.get("conversation") or {})
        old = next((m for m in reversed(fresh.get(chat, [])) if m["key"] == update.get("key")), None) \
            or self.store.log(chat).get(update.get("key", ""))
        if old is None:
            return []
        message = {**old, "state": number(update.get("state")), "revision": number(update.get("revision"))}
        for name in ("content", "digest"):
            if name in update or message["state"]:
                message[name] = update.get(name, "")
        fresh.setdefault(chat, []).append(message)
        last = self._chat(chat).get("last") or {}
        if last.get("key") == message["key"]:
            last.update(digest=message.get("digest", ""), state=message["state"])
        return [Event("update", message)]

    def _apply_state(self, state: Json) -> str:
        chat = chat_key(state.get("conversation") or {})
        row = self._chat(chat)
        version = number(state.get("version"))
        if version < row["version"]:
            return chat
        row.update(version=version, base_last=number(state.get("lastPosition")), base_unread=number(state.get("unread")),
                   read_position=max(row["read_position"], number(state.get("readPosition"))),
                   pin=number(state.get("pinRank")), mute_until_ms=number(state.get("muteUntilMs")))
        if state.get("last"):
            self._take_last(row, state["last"])
        row["last_position"] = max(row["last_position"], row["base_last"])
        row["hidden"] = bool(state.get("hidden")) and row["last_position"] <= row["base_last"]
        return chat

    def _apply_marker(self, marker: Json, fresh: dict[str, list[Json]]) -> str:
        """"New up to n": the rows come by history, see _fill_marked(). What is here decides from where."""
        chat = chat_key(marker.get("conversation") or {})
        row, up_to = self._chat(chat), number(marker.get("upTo"))
        known = max((number(m.get("position")) for m in [*self.store.log(chat).values(), *fresh.get(chat, [])]), default=0)
        if row.get("marked"):
            row["marked"]["up_to"] = max(row["marked"]["up_to"], up_to)
        elif up_to > known:
            row["marked"] = {"known": known, "up_to": up_to}
        if marker.get("last"):
            self._take_last(row, marker["last"])
        row["last_position"] = max(row["last_position"], up_to)
        if up_to >= row["base_last"]:
            row.update(base_last=up_to, base_unread=number(marker.get("unread")))
        return chat

    def _apply_contact(self, contact: Json) -> bool:
        """True when it changes something a person would see."""
        uin = str(contact.get("uin", ""))
        old = self.store.state["contacts"].get(uin) or {}
        contact = {"version": old.get("version", "0"), **contact}  # A removed one may have none: it is how things are now.
        if not uin or number(old.get("version")) > number(contact["version"]):
            return False
        new = {**contact, "profile": contact.get("profile") or old.get("profile") or {}}
        self.store.state["contacts"][uin] = new
        self.store.touch("state")
        return any(old.get(key) != new.get(key) for key in ("state", "blocked", "remark", "greeting", "profile"))

    def _apply_group(self, group: Json) -> None:
        number_ = str(group.get("id") or "")
        old = self.store.state["groups"].get(number_) or {}
        if not number_ or number(old.get("version")) > number(group.get("version")):
            return
        kept = {key: value for key, value in group.items() if key != "members"}
        self.store.state["groups"][number_] = {**kept, "id": number_}
        chat = self._chat(f"{GROUP}-{number_}")
        chat["time"] = chat["time"] or int(self.now() * 1000)
        people = {str(m["uin"]): m["profile"] for m in group.get("members") or [] if m.get("uin") and m.get("profile")}
        self._remember(people)

    def _count_unread(self, chat: str) -> None:
        """The server's count at its position, plus what came after it."""
        row = self._chat(chat)
        start, mine = max(row["base_last"], row["read_position"]), str(self.store.session.get("uin"))
        more = 0
        if row["last_position"] > start:
            more = sum(1 for m in self.store.log(chat).values() if number(m.get("position")) > start
                       and str(m.get("sender", "")) != mine and not number(m.get("flags")) & NO_UNREAD)
        row["unread"] = more + (row["base_unread"] if row["read_position"] < row["base_last"] else 0)

    # ---- chats

    def chats(self) -> list[Json]:
        """Conversations, the one with the latest news first."""
        with self.store.locked() as store:
            rows = [{**row, "chat": chat} for chat, row in store.state["chats"].items()
                    if not row.get("hidden") and not (store.state["groups"].get(chat.removeprefix("2-")) or {}).get("left")]
        return sorted(rows, key=lambda row: (-row.get("pin", 0), -row["time"]))

    def chat(self, chat: str) -> Json:
        with self.store.locked():
            return {**self._chat(chat), "chat": chat}

    def mark_read(self, chat: str, patience: float | None = None) -> Json:
        """Read up to the last message known here."""
        row = self.chat(chat)
        if row["last_position"] > row["read_position"] or row["unread"]:
            answer = self.call("read", {"conversation": conversation_of(chat), "position": str(row["last_position"])},
                               patience=patience)
            with self.store.locked() as store:
                mine = self._chat(chat)
                mine["read_position"] = max(mine["read_position"], row["last_position"])
                if answer.get("state"):
                    self._apply_state({"conversation": conversation_of(chat), **answer["state"]})
                self._count_unread(chat)
                store.touch("state")
        return self.chat(chat)

    def history(self, chat: str, limit: int, before: int = 0, patience: float | None = None) -> tuple[list[Json], bool]:
        """Messages before a position (0: the newest), oldest first, and whether there are older ones."""
        body: Json = {"conversation": conversation_of(chat), "limit": max(1, min(100, limit))}
        if before:
            body["beforePosition"] = str(before)
        answer = self.call("history", body, patience=patience)
        page = sorted(answer.get("messages") or [], key=lambda m: number(m.get("position")))
        with self.store.locked() as store:
            known = store.log(chat)
            store.append(chat, [m for m in page if m.get("key") and known.get(m["key"]) != m])
        return page, bool(answer.get("more"))

    def stored(self, chat: str, limit: int, before: int = 0) -> list[Json]:
        """What is here without asking, oldest first."""
        with self.store.locked() as store:
            rows = [m for m in store.messages(chat) if not before or number(m.get("position")) < before]
        return rows[-limit:]

    def poll(self) -> bool:
        """One long poll; True when something rang."""
        answer = self._ask("poll", {"base": self.base(), "waitMs": 20000, "snapshot": self.snapshot()}, 30.0)
        return bool(answer.get("rings"))


def _locale() -> str:
    """BCP 47 of the environment."""
    name = (os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or "").partition(".")[0]
    found = re.fullmatch(r"[A-Za-z]{2,3}(_[A-Za-z]{2})?", name)
    return name.replace("_", "-") if found else "en"

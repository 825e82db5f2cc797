"""`hongyan client VERB`: one request of a person or a script, then the end. docs/client.md describes every verb, the JSON
and the exit codes."""
import argparse
import getpass
import json
import os
import queue
import signal
import sys
import time
from typing import Any, Callable

import locate
from client import FRIEND, GROUP, TEXT, Client, Event, from_base64, number, text_of
from errors import ClientError, NotLoggedIn, Refused, Unreachable, Usage
from store import Json, chat_key, conversation_of
from system_message import sentence
from text import Paint, clean, clock, columns, cut, moment, one_line
from wire import Backoff, Rings

CONTACT_STATES = {0: "none", 1: "friend", 2: "asked", 3: "asks_me", 4: "stranger"}
MESSAGE_STATES = {0: "normal", 1: "recalled", 2: "expired", 3: "moderated"}
ROLES = {1: "owner", 2: "admin", 3: "member"}
PLATFORMS = {1: "ios", 2: "android", 3: "web", 4: "desktop", 5: "terminal", 6: "server"}
STDIN_BYTES_MAX = 1 << 20


# ---- the shapes of --json; stable: keys are added, never renamed

def profile_json(profile: Json) -> Json:
    return {"uin": str(profile.get("uin", "")), "user_name": profile.get("userName", ""),
            "nickname": profile.get("nickname", ""), "avatar_color": f"#{number(profile.get('avatarColor')) & 0xffffff:06x}",
            "signature": profile.get("signature", ""), "type": number(profile.get("type"))}


def contact_json(contact: Json) -> Json:
    profile = contact.get("profile") or {}
    return {"uin": str(contact.get("uin", "")), "user_name": profile.get("userName", ""),
            "nickname": profile.get("nickname", ""), "remark": contact.get("remark", ""),
            "state": CONTACT_STATES.get(number(contact.get("state")), "other"), "blocked": bool(contact.get("blocked")),
            "greeting": contact.get("greeting", ""), "since_ms": number(contact.get("sinceMs"))}


def conversation_json(client: Client, chat: str) -> Json:
    where = conversation_of(chat)
    return {"type": "group" if where["type"] == GROUP else "direct", "id": where["id"], "name": client.chat_name(chat)}


def chat_json(client: Client, row: Json) -> Json:
    return {**conversation_json(client, row["chat"]), "unread": row["unread"], "last_position": row["last_position"],
            "read_position": row["read_position"], "last_time_ms": row["time"],
            "last_digest": (row.get("last") or {}).get("digest", "")}


def message_json(client: Client, message: Json) -> Json:
    chat = chat_key(message.get("conversation") or {})
    sender, kind = str(message.get("sender", "")), number(message.get("kind"))
    shown = {"key": message.get("key", ""), "conversation": conversation_json(client, chat), "sender": sender,
             "sender_name": client.name(sender), "mine": sender == client.uin, "position": number(message.get("position")),
             "server_time_ms": number(message.get("serverTimeMs")), "client_msg_id": message.get("clientMsgId", ""),
             "kind": kind, "text": plain_text(client, message), "digest": message.get("digest", ""),
             "state": MESSAGE_STATES.get(number(message.get("state")), "other"), "revision": number(message.get("revision"))}
    return shown if kind == TEXT else {**shown, "content": message.get("content", "")}


def plain_text(client: Client, message: Json) -> str:
    if number(message.get("kind")) == 2 and not number(message.get("state")):
        return sentence(message, client.name)
    return text_of(message)


def group_json(group: Json) -> Json:
    members = [{"uin": str(m.get("uin", "")), "role": ROLES.get(number(m.get("role")), "member"), "alias": m.get("alias", ""),
                "user_name": (m.get("profile") or {}).get("userName", ""),
                "nickname": (m.get("profile") or {}).get("nickname", "")} for m in group.get("members") or []]
    return {"id": str(group.get("id", "")), "name": group.get("name", ""), "owner": str(group.get("owner", "")),
            "member_count": number(group.get("memberCount")), "members": members}


def device_json(device: Json) -> Json:
    info = device.get("info") or {}
    return {"id": from_base64(device.get("id")).hex(), "platform": PLATFORMS.get(number(info.get("platform")), "other"),
            "model": info.get("model", ""), "os": info.get("os", ""), "app_version": info.get("appVersion", ""),
            "created_ms": number(device.get("createdMs")), "seen_ms": number(device.get("seenMs")),
            "this_device": bool(device.get("thisDevice")), "online": bool(device.get("online"))}


def event_json(client: Client, event: Event) -> Json:
    if event.what in ("message", "update"):
        return {"event": event.what, "message": message_json(client, event.value)}
    if event.what == "contact":
        return {"event": "contact", "contact": contact_json(event.value)}
    if event.what == "group":
        return {"event": "group", "group": group_json(event.value)}
    if event.what == "account":
        return {"event": "account", "profile": profile_json(event.value.get("profile") or {})}
    if event.what == "chat":
        return {"event": "chat", "chat": chat_json(client, client.chat(event.value["chat"]))}
    return {"event": event.what}


# ---- the shapes for people

def message_lines(client: Client, message: Json, paint: Paint, where: bool) -> list[str]:
    """`where`: with the conversation's name, for lists that mix them."""
    chat = chat_key(message.get("conversation") or {})
    time_ = paint("dim", clock(number(message.get("serverTimeMs"))))
    sender = str(message.get("sender", ""))
    place = "" if not where or conversation_of(chat)["type"] != GROUP and sender != client.uin \
        else f"{paint('dim', 'in' if conversation_of(chat)['type'] == GROUP else 'to')} {client.chat_name(chat)}: "
    if number(message.get("kind")) == 2:
        return [f"{time_}  {place}{paint('dim', plain_text(client, message))}"]
    name = "you" if sender == client.uin else client.name(sender)
    lines = clean(plain_text(client, message)).split("\n")
    return [f"{time_}  {paint.person(sender, name)}  {place}{lines[0]}", *("       " + line for line in lines[1:])]


def event_lines(client: Client, event: Event, paint: Paint) -> list[str]:
    if event.what == "message":
        return message_lines(client, event.value, paint, where=True)
    if event.what == "update":
        return [f"{paint('dim', 'changed:')} {line}" for line in message_lines(client, event.value, paint, where=True)]
    if event.what == "contact":
        return contact_news(client, event.value, paint)
    if event.what == "reset":
        return [paint("dim", "There is a gap: the server had more news than it keeps. `history` shows it.")]
    return []


def contact_news(client: Client, contact: Json, paint: Paint) -> list[str]:
    name, state = client.name(contact.get("uin")), number(contact.get("state"))
    greeting = one_line(contact.get("greeting") or "")
    user = one_line((contact.get("profile") or {}).get("userName") or str(contact.get("uin")))
    if state == 3:
        return [paint("yellow", f"{name} ({user}) asks to be your friend{': ' + greeting if greeting else ''}")]
    return [paint("dim", f"{name} is your friend now")] if state == FRIEND else []


class Program:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.json = arguments, arguments.json
        self.client = locate.open_client(arguments, arguments.timeout)
        self.paint = Paint(use_colour(sys.stdout))

    # ---- output

    def show(self, value: Json, lines: list[str] | str) -> None:
        if self.json:
            print(json.dumps(value, separators=(",", ":")), flush=True)
        else:
            for line in [lines] if isinstance(lines, str) else lines:
                print(line, flush=True)

    def note(self, text: str) -> None:
        print(f"hongyan: {text}", file=sys.stderr, flush=True)

    def password(self, option: str, variable: str, prompt: str, twice: bool = False) -> str:
        """From a file, the environment, or the keyboard; never from the command line, which others can read."""
        file = getattr(self.arguments, option)
        if file:
            try:
                with (sys.stdin if file == "-" else open(file)) as source:
                    return source.readline(4096).rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise Usage(f"{file}: {getattr(error, 'strerror', None) or 'is no text'}") from error
        if os.environ.get(variable):
            return os.environ[variable]
        if not sys.stdin.isatty():
            raise Usage(f"There is no terminal to ask for the password: use --{option.replace('_', '-')} or {variable}.")
        word = getpass.getpass(prompt)
        if twice and getpass.getpass("Again: ") != word:
            raise Usage("The two passwords differ.")
        return word

    def text(self, words: list[str]) -> str:
        if words and words != ["-"]:
            return " ".join(words)
        data = sys.stdin.buffer.read(STDIN_BYTES_MAX).decode(errors="replace")
        return data[:-1] if data.endswith("\n") else data

    # ---- account

    def _login(self, register: bool) -> None:
        if locate.in_clear(self.client.link):
            self.note(f"warning: the password goes to {self.client.link.url} unencrypted")
        word = self.password("password_file", "HONGYAN_PASSWORD", "Password: ", twice=register)
        if register:
            who = self.client.register(self.arguments.name, word, self.arguments.nickname)
        else:
            who = self.client.login(self.arguments.name, word)
        self.show(who, f"{'registered and ' if register else ''}logged in as {one_line(who['user_name'])} "
                       f"(uin {who['uin']}) on {who['server']}")

    def register(self) -> None:
        self._login(register=True)

    def login(self) -> None:
        self._login(register=False)

    def logout(self) -> None:
        self.client.logout()
        self.show({"logged_out": True}, "logged out; the messages stay in the profile")

    def whoami(self) -> None:
        who = self.client.whoami()
        if not who["logged_in"]:
            raise NotLoggedIn()
        self.show(who, columns([["user name", one_line(who["user_name"])], ["nickname", one_line(who["nickname"])],
                                ["uin", who["uin"]], ["server", who["server"]], ["device", who["device_id"]]]))

    def profile(self) -> None:
        wanted: Json = {}
        if self.arguments.nickname is not None:
            wanted["nickname"] = self.arguments.nickname
        if self.arguments.signature is not None:
            wanted["signature"] = self.arguments.signature
        if self.arguments.color is not None:
            try:
                wanted["avatarColor"] = int(self.arguments.color.removeprefix("#"), 16)
                if len(self.arguments.color.removeprefix("#")) != 6:
                    raise ValueError
            except ValueError:
                raise Usage("A color has six hex digits, like #3a7bd5.") from None
        profile = self.client.set_profile(**wanted) if wanted else self.client.my_profile()
        shown = profile_json(profile)
        self.show({"profile": shown}, self._card(shown))

    def _card(self, shown: Json) -> list[str]:
        rows = [["nickname", shown["nickname"]], ["user name", shown["user_name"]], ["uin", shown["uin"]],
                ["color", shown["avatar_color"]], ["signature", shown["signature"]]]
        return columns([[name, one_line(value)] for name, value in rows if value])

    def change_password(self) -> None:
        old = self.password("password_file", "HONGYAN_PASSWORD", "Old password: ")
        new = self.password("new_password_file", "HONGYAN_NEW_PASSWORD", "New password: ", twice=True)
        self.client.set_password(old, new)
        self.show({"password_changed": True}, "password changed; all other devices are logged out")

    def devices(self) -> None:
        rows = [device_json(device) for device in self.client.devices()]
        now = int(time.time() * 1000)
        table = [[row["id"][:8], row["platform"], one_line(row["model"]), "online" if row["online"] else
                  "seen " + moment(row["seen_ms"], now), "this device" if row["this_device"] else ""] for row in rows]
        self.show({"devices": rows}, columns(table))

    def kick(self) -> None:
        device = self.client.kick(self.arguments.device)
        self.show({"kicked": {"id": device}}, f"{device[:8]} is logged out")

    # ---- people

    def find(self) -> None:
        profile, contact = self.client.find(self.arguments.who)
        shown = profile_json(profile)
        state = CONTACT_STATES.get(number(contact.get("state")), "other")
        self.show({"profile": shown, "contact": contact_json({"uin": shown["uin"], **contact, "profile": profile})},
                  self._card(shown) + ([f"state      {state}"] if state != "none" else []))

    def _contact(self, contact: Json, sentence_: str) -> None:
        self.show({"contact": contact_json(contact)}, sentence_.format(name=self.client.name(contact.get("uin"))))

    def add(self) -> None:
        contact = self.client.add(self.client.person(self.arguments.who), " ".join(self.arguments.greeting))
        done = number(contact.get("state")) == FRIEND
        self._contact(contact, "{name} is your friend now" if done else "asked {name}; they have to accept")

    def accept(self) -> None:
        self._contact(self.client.accept(self.client.person(self.arguments.who)), "{name} is your friend now")

    def remove(self) -> None:
        self._contact(self.client.remove(self.client.person(self.arguments.who)), "{name} is no longer in your contacts")

    def block(self) -> None:
        self._contact(self.client.block(self.client.person(self.arguments.who), True), "{name} is blocked")

    def unblock(self) -> None:
        self._contact(self.client.block(self.client.person(self.arguments.who), False), "{name} is no longer blocked")

    def remark(self) -> None:
        uin = self.client.person(self.arguments.who)
        self._contact(self.client.remark(uin, " ".join(self.arguments.remark)), "shown as {name}")

    def contacts(self) -> None:
        self.client.sync()
        rows = self.client.contacts()
        words = {1: "", 2: "waits for their answer", 3: "asks to be your friend"}
        table = [[self.client.name(row["uin"]), one_line((row.get("profile") or {}).get("userName") or ""), str(row["uin"]),
                  "blocked" if row.get("blocked") else words.get(number(row.get("state")), "")] for row in rows]
        self.show({"contacts": [contact_json(row) for row in rows]}, columns(table) or ["no contacts yet; `add` somebody"])

    # ---- messages

    def send(self) -> None:
        self._send(self.client.resolve(self.arguments.who, groups=True))

    def _send(self, chat: str) -> None:
        mine = self.client.queue(chat, self.text(self.arguments.text))
        others = 0
        failure: ClientError | None = None
        result: Json = {}

        def done(outcome: Any) -> None:
            nonlocal others, failure, result
            if outcome.row["client_msg_id"] == mine["client_msg_id"]:
                failure, result = outcome.error, outcome.sent
            elif not outcome.error:
                others += 1

        try:
            self.client.flush(done=done)
        except (Refused, Unreachable) as error:
            if not result and failure is None:
                self.note("not sent yet; it is kept and goes out with the next `send` or `sync`")
                raise error
        if others:
            self.note(f"{others} earlier message{'s' if others > 1 else ''} sent, too")
        if failure:
            self.client.forget([mine["client_msg_id"]])  # Who called knows by the exit code.
            raise failure
        if not result:  # Another process with this profile has sent it.
            result = {"clientMsgId": mine["client_msg_id"]}
        shown = {"client_msg_id": mine["client_msg_id"], "conversation": conversation_json(self.client, chat),
                 "key": result.get("key", ""), "server_time_ms": number(result.get("serverTimeMs")), "state": "sent"}
        self.show({"sent": shown}, f"sent to {self.client.chat_name(chat)}")

    def read(self) -> None:
        self.client.sync()
        row = self.client.mark_read(self.client.resolve(self.arguments.who))
        self.show({"chat": chat_json(self.client, row)}, f"{self.client.chat_name(row['chat'])} is read")

    def chats(self) -> None:
        self.client.sync()
        rows = self.client.chats()
        now = int(time.time() * 1000)
        table = [[self.client.chat_name(row["chat"]), self.paint("bold", unread_text(row)), moment(row["time"], now),
                  cut(self._last(row), 50)] for row in rows]
        self.show({"chats": [chat_json(self.client, row) for row in rows]}, columns(table) or ["no chats yet"])

    def _last(self, row: Json) -> str:
        last = row.get("last") or {}
        return plain_text(self.client, last) if number(last.get("kind")) == 2 else one_line(last.get("digest") or "")

    def history(self) -> None:
        if self.arguments.limit < 1 or self.arguments.limit > 100:
            raise Usage("--limit is 1 to 100")
        chat = self.client.resolve(self.arguments.who)
        if self.arguments.local:
            rows, more = self.client.stored(chat, self.arguments.limit, self.arguments.before), False
        else:
            rows, more = self.client.history(chat, self.arguments.limit, self.arguments.before)
        lines = [line for row in rows for line in message_lines(self.client, row, self.paint, where=False)]
        if more and rows:
            lines.insert(0, self.paint("dim", f"older ones: --before {number(rows[0].get('position'))}"))
        self.show({"conversation": conversation_json(self.client, chat), "more": more,
                   "messages": [message_json(self.client, row) for row in rows]}, lines or ["no messages"])

    # ---- groups

    def _group(self, group: Json, sentence_: str) -> None:
        shown = group_json(group)
        self.show({"group": shown}, sentence_.format(name=one_line(shown["name"]), id=shown["id"]))

    def group_create(self) -> None:
        members = [self.client.person(who) for who in self.arguments.who]
        self._group(self.client.create_group(self.arguments.name, members), "{name} is group {id}")

    def group_rename(self) -> None:
        group = self.client.group(self.arguments.group)
        self._group(self.client.rename_group(group, " ".join(self.arguments.name)), "group {id} is called {name} now")

    def group_add(self) -> None:
        group = self.client.group(self.arguments.group)
        members = [self.client.person(who) for who in self.arguments.who]
        self._group(self.client.add_members(group, members), "added to {name}")

    def group_remove(self) -> None:
        group = self.client.group(self.arguments.group)
        known = {one_line(m["user_name"]).casefold(): m["uin"] for m in group_json(self.client.get_group(group))["members"]}
        members = [known.get(who.casefold()) or self.client.person(who) for who in self.arguments.who]
        self._group(self.client.remove_members(group, members), "removed from {name}")

    def group_admin(self) -> None:
        group = self.client.group(self.arguments.group)
        known = {one_line(m["user_name"]).casefold(): m["uin"] for m in group_json(self.client.get_group(group))["members"]}
        members = [known.get(who.casefold()) or self.client.person(who) for who in self.arguments.who]
        self._group(self.client.set_admins(group, members, not self.arguments.dismiss),
                    "no admin of {name} any more" if self.arguments.dismiss else "admin of {name} now")

    def group_members(self) -> None:
        group = self.client.get_group(self.client.group(self.arguments.group))
        shown = group_json(group)
        table = [[self.client.name(m["uin"]), one_line(m["user_name"]), m["uin"], m["role"]] for m in shown["members"]]
        self.show({"group": shown}, columns(table))

    def group_leave(self) -> None:
        group = self.client.group(self.arguments.group)
        self.client.leave_group(group)
        self.show({"left": {"id": group}}, "left the group")

    def group_send(self) -> None:
        self._send("2-" + self.client.group(self.arguments.group))

    # ---- sync

    def sync(self) -> None:
        if self.arguments.follow:
            self.follow()
            return
        problem: Refused | None = None
        try:
            self.client.flush()
        except Refused as error:
            problem = error
        news = self.client.sync()
        if problem:
            self.note(f"not all that waits could be sent: {problem.text}")
        listed = {name: [event_json(self.client, event)[key] for event in news if event.what == what]
                  for name, what, key in (("messages", "message", "message"), ("updates", "update", "message"),
                                          ("contacts", "contact", "contact"), ("groups", "group", "group"),
                                          ("chats", "chat", "chat"))}
        lines = [line for event in news for line in event_lines(self.client, event, self.paint)]
        unread = sum(row["unread"] for row in self.client.chats())
        lines.append(self.paint("dim", f"{unread or 'no'} unread"))
        self.show({**listed, "reset": any(event.what == "reset" for event in news),
                   "waiting": len(self.client.waiting()), "unread": unread}, lines)

    def follow(self) -> None:
        """News as it comes, until a signal ends it."""
        if not self.client.logged_in:
            raise NotLoggedIn()
        inbox: queue.SimpleQueue[str] = queue.SimpleQueue()
        stop = signal.SIGTERM
        for number_ in (signal.SIGINT, stop):
            signal.signal(number_, lambda *_: inbox.put("stop"))
        rings = Rings(self.client.link, self.client.base, self.client.poll, inbox.put).start()
        inbox.put("ring")
        backoff, pause = Backoff(0.5), None
        while True:
            try:
                what = inbox.get(timeout=pause)
            except queue.Empty:
                what = "ring"
            if what == "stop":
                rings.stop()
                return
            if what in ("online", "offline"):
                self._event({"event": "link", "state": what}, [])
                if not self.json:
                    self.note(f"{what}: {self.client.link.url}")
            if what in ("ring", "refused", "online"):
                pause = self._follow_once(backoff)

    def _follow_once(self, backoff: Backoff) -> float | None:
        """Seconds to the next try when this one failed for the moment."""
        try:
            self.client.flush(patience=0)
            news = self.client.sync(patience=0)
        except (Refused, Unreachable) as error:
            if isinstance(error, Refused) and not error.transient:
                raise
            return backoff.next()
        backoff.reset()
        for event in news:
            if event.what != "chat" or self.json:
                self._event(event_json(self.client, event), event_lines(self.client, event, self.paint))
        return None

    def _event(self, value: Json, lines: list[str]) -> None:
        self.show(value, lines)


def unread_text(row: Json) -> str:
    return "" if not row["unread"] else f"{row['unread'] if row['unread'] < 1000 else '999+'} new"


def use_colour(stream: Any) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise Usage(f"{message}\n{self.format_usage().rstrip()}")


def parser() -> Parser:
    top = Parser(prog="hongyan client", description="Talk to a Hongyan server from scripts. docs/client.md has all of it.",
                 epilog="exit codes: 0 done, 1 refused by the server, 2 usage, 3 server out of reach, 4 not logged in")
    locate.add_options(top)
    top.add_argument("--json", action="store_true", default=False, help="one JSON object on one line")
    top.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="how long to go on trying [10]")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    passwords = {"password_file": "read it from FILE (- is stdin) instead of asking; HONGYAN_PASSWORD is read, too"}

    def verb(into: Any, name: str, run: Callable[[Program], None], help_: str, *positional: tuple[str, str, str]) -> Parser:
        made = into.add_parser(name, help=help_, description=help_[0].upper() + help_[1:] + ".")
        locate.add_options(made, nested=True)
        made.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON object on one line")
        made.add_argument("--timeout", type=float, default=argparse.SUPPRESS, metavar="SECONDS")
        for dest, count, text in positional:
            made.add_argument(dest, metavar=dest.upper(), help=text, **({"nargs": count} if count else {}))
        made.set_defaults(run=run)
        return made

    who = ("who", "", "user name, uin, or a remark or nickname that is unambiguous")
    group = ("group", "", "the group's name or id")
    text = ("text", "*", "the text; without it, or with -, all of stdin")
    for name, run, help_ in (("register", Program.register, "make an account and log in"),
                             ("login", Program.login, "log in with a password")):
        made = verb(verbs, name, run, help_, ("name", "", "the user name"))
        made.add_argument("--password-file", metavar="FILE", help=passwords["password_file"])
        if name == "register":
            made.add_argument("--nickname", default="", help="what others see [the user name]")
    verb(verbs, "logout", Program.logout, "log this device out")
    verb(verbs, "whoami", Program.whoami, "say who is logged in, without asking the server")
    made = verb(verbs, "profile", Program.profile, "show my profile, or change it")
    made.add_argument("--nickname")
    made.add_argument("--color", metavar="#RRGGBB")
    made.add_argument("--signature")
    made = verb(verbs, "password", Program.change_password, "change the password; logs all other devices out")
    made.add_argument("--password-file", metavar="FILE", help="the old one, as for login")
    made.add_argument("--new-password-file", metavar="FILE", help="or HONGYAN_NEW_PASSWORD")
    verb(verbs, "devices", Program.devices, "list my devices")
    verb(verbs, "kick", Program.kick, "log another device of mine out", ("device", "", "its id, or the first digits"))
    verb(verbs, "find", Program.find, "look for a person", ("who", "", "user name or uin"))
    verb(verbs, "add", Program.add, "ask somebody to be a friend", who, ("greeting", "*", "a few words with it"))
    verb(verbs, "accept", Program.accept, "accept a friend request", who)
    verb(verbs, "remove", Program.remove, "remove a friend, refuse or take back a request", who)
    verb(verbs, "block", Program.block, "take no messages from somebody", who)
    verb(verbs, "unblock", Program.unblock, "take them again", who)
    verb(verbs, "remark", Program.remark, "give somebody a name only you see", who, ("remark", "*", "none: take it away"))
    verb(verbs, "contacts", Program.contacts, "list friends and requests")
    verb(verbs, "chats", Program.chats, "list conversations with their unread counts")
    verb(verbs, "send", Program.send, "send a text to a person or a group", ("who", "", who[2] + "; or a group"), text)
    verb(verbs, "read", Program.read, "mark a conversation as read", ("who", "", "a person or a group"))
    made = verb(verbs, "history", Program.history, "show messages of a conversation", ("who", "", "a person or a group"))
    made.add_argument("--limit", type=int, default=20, metavar="N", help="at most N, up to 100 [20]")
    made.add_argument("--before", type=int, default=0, metavar="POSITION", help="only older ones")
    made.add_argument("--local", action="store_true", help="what the profile has, without asking the server")
    made = verb(verbs, "sync", Program.sync, "send what waits, get and show what is new")
    made.add_argument("--follow", action="store_true", help="go on and show news as it comes")
    groups = verbs.add_parser("group", help="create, rename, add, remove, admin, members, leave, send") \
        .add_subparsers(dest="group_verb", metavar="VERB", required=True)
    people = ("who", "+", "people")
    verb(groups, "create", Program.group_create, "make a group", ("name", "", "its name"), ("who", "*", "friends"))
    verb(groups, "rename", Program.group_rename, "give a group another name", group, ("name", "+", "the new name"))
    verb(groups, "add", Program.group_add, "add friends to a group", group, people)
    verb(groups, "remove", Program.group_remove, "remove members from a group", group, people)
    made = verb(groups, "admin", Program.group_admin, "appoint members of your group as admins", group, people)
    made.add_argument("--dismiss", action="store_true", help="they are ordinary members again")
    verb(groups, "members", Program.group_members, "list the members of a group", group)
    verb(groups, "leave", Program.group_leave, "leave a group", group)
    verb(groups, "send", Program.group_send, "send a text to a group", group, text)
    return top


def main(words: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    as_json = "--json" in words
    try:
        arguments = parser().parse_args(words)
        as_json = arguments.json
        arguments.run(Program(arguments))
        return 0
    except ClientError as error:
        if as_json:
            print(json.dumps(error.as_json(), separators=(",", ":")), flush=True)
        else:
            debug = f" ({error.debug})" if error.debug else ""
            print(f"hongyan: {clean(error.text)}{clean(debug)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # Whoever read our output has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0

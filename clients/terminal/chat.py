"""`hongyan chat`: the interactive client.

Three threads beside this one: rings (wire.Rings), the courier (sends what waits and syncs, whenever something rings or is
written) and the clerk (asks what a command needs). They hand what they have to the main thread, which alone draws. So
typing never waits for the network."""
import argparse
import contextlib
import getpass
import os
import queue
import select
import shlex
import signal
import sys
import termios
import threading
import time
from typing import Any, Callable, Iterator

import locate
from client import FRIEND, GROUP, NO_UNREAD, Client, Event, Outcome, number
from editor import Editor, Keys, make_screen
from errors import ClientError, NotLoggedIn, Refused, Unreachable
from store import Json, chat_key, conversation_of
from text import Paint, clean, clock, columns, cut, day, moment, one_line, pad, width, wrap
from verbs import CONTACT_STATES, contact_news, plain_text, unread_text, use_colour
from wire import Backoff, Rings

HISTORY_LINES_MAX = 500
PAGE = 20
PENDING_SHOWN_MAX = 5

HELP = [
    ("/list", "your conversations; a number opens one"),
    ("/open NAME", "open a conversation; then just write"),
    ("/close", "back to the list"),
    ("/history [N]", "older messages"),
    ("/add NAME [WORDS]", "ask somebody to be your friend"),
    ("/accept NAME", "accept a request; /remove NAME refuses it"),
    ("/contacts", "your friends and requests"),
    ("/find NAME", "look somebody up"),
    ("/remark NAME WORDS", "give a friend a name only you see"),
    ("/remove, /block, /unblock NAME", "what they say"),
    ("/group create \"NAME\" PERSON...", "make a group; then, with it open:"),
    ("/group add|remove PERSON...", "change who is in it"),
    ("/group admin|dismiss PERSON...", "who may rename it and remove people, too"),
    ("/group rename NAME", "/group members, /group leave"),
    ("/retry, /drop", "send again, or forget, what was refused"),
    ("/nick NAME", "change your nickname"),
    ("/quit", "leave; Ctrl-D does, too"),
]
COMMANDS = ["/accept", "/add", "/block", "/close", "/contacts", "/drop", "/find", "/group", "/help", "/history", "/list",
            "/nick", "/open", "/quit", "/remark", "/remove", "/retry", "/unblock"]
GROUP_VERBS = ["add", "admin", "create", "dismiss", "leave", "members", "remove", "rename"]
NAMED = ("/accept", "/add", "/block", "/find", "/open", "/remark", "/remove", "/unblock")


class Chat:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.screen = make_screen()
        self.paint = Paint(use_colour(sys.stdout) and self.screen.raw)
        self.inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.wake_read, self.wake_write = os.pipe()
        os.set_blocking(self.wake_write, False)
        self.jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.errands = threading.Event()
        self.above: list[str] = []          # To be printed with the next draw.
        self.open: str = ""                 # The chat that is open.
        self.shown: set[str] = set()        # Keys of its messages on the screen.
        self.oldest = 0                     # Position of the oldest of them; 0: none.
        self.last_day = ""
        self.listed: list[str] = []         # What the numbers of /list mean.
        self.sending: dict[str, Json] = {}  # By client_msg_id; "shown_state" says how it stands.
        self.link_state = ""
        self.mute_notice = True             # The first sync is no news.
        self.reading = False
        self.running = True
        self.leaving = False
        self.history_file = client.store.directory / "input"
        self.editor = Editor(self._load_input(), self._complete)
        self.rings = Rings(client.link, client.base, client.poll, self._heard)

    # ---- threads

    def post(self, function: Callable[[], None]) -> None:
        """Runs in the main thread, soon."""
        self.inbox.put(function)
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self.wake_write, b".")

    def _heard(self, what: str) -> None:
        if what in ("online", "offline"):
            self.post(lambda: self._link(what))
        else:
            self.errands.set()

    def _link(self, state: str) -> None:
        self.link_state = state
        if state == "online":
            self.errands.set()

    def _courier(self) -> None:
        backoff = Backoff(0.5, 15.0)
        pause: float | None = None
        while True:
            self.errands.wait(pause)
            self.errands.clear()
            pause = None
            try:
                try:
                    self.client.flush(patience=0, done=lambda outcome: self.post(lambda: self._settled(outcome)))
                except Refused as error:
                    if isinstance(error, NotLoggedIn) or not error.transient:
                        raise
                    pause = max(backoff.next(), error.retry_after_ms / 1000)
                news = self.client.sync(patience=0)
                self.post(lambda news=news: self._news(news))
                if pause is None:
                    backoff.reset()
            except NotLoggedIn as error:
                self.post(lambda text=error.text: self._logged_out(text))
                return
            except Unreachable:
                self.post(lambda: self._link("offline"))
                pause = backoff.next()
            except Exception as error:
                if not (isinstance(error, Refused) and error.transient):
                    self.post(lambda error=error: self.complain(_shown(error)))
                pause = backoff.next()

    def _clerk(self) -> None:
        while True:
            job = self.jobs.get()
            try:
                job()
            except NotLoggedIn as error:
                self.post(lambda text=error.text: self._logged_out(text))
            except Exception as error:
                self.post(lambda error=error: self.complain(_shown(error)))

    def ask(self, question: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """The question goes to the clerk, its answer to the main thread."""
        def job() -> None:
            answer = question()
            self.post(lambda: then(answer))
        self.jobs.put(job)

    def _logged_out(self, text: str) -> None:
        self.say(self.paint("red", text))
        self.running = False

    # ---- output

    def say(self, *lines: str) -> None:
        self.above += lines

    def complain(self, error: ClientError) -> None:
        debug = f" ({error.debug})" if error.debug else ""
        self.say(*(self.paint("red", line) for line in wrap(clean(error.text + debug), self.screen.columns - 1)))

    def _me(self) -> str:
        return self.client.name(self.client.uin)

    def _draw(self) -> None:
        status: list[str] = []
        room = self.screen.columns - 1
        rows = [row for row in self.sending.values() if row["chat"] == self.open]
        if len(rows) > PENDING_SHOWN_MAX:
            status.append(self.paint("dim", f"… {len(rows) - PENDING_SHOWN_MAX} more"))
        for row in rows[-PENDING_SHOWN_MAX:]:
            state = row["shown_state"]
            word = {"sending": "… sending", "sent": "✓ sent"}.get(state) or "✗ " + state
            text = cut(one_line(row["text"]), max(8, room - width(word) - 14))
            line = f"{clock(row['client_time_ms'])}  you  {text}  {word}"
            status.append(self.paint("dim" if state in ("sending", "sent") else "red", cut(line, room)))
        if self.link_state == "offline":
            waiting = sum(1 for row in self.sending.values() if row["shown_state"] == "sending")
            note = "offline – trying to reconnect" + (f"; {waiting} to send" if waiting else "")
            status.append(self.paint("yellow", cut(note, room)))
        above, self.above = self.above, []
        self.screen.draw(above, status, self._prompt(), self.editor)

    def _prompt(self) -> str:
        elsewhere = sum(row["unread"] for row in self.client.chats() if row["chat"] != self.open)
        note = self.paint("yellow", f"({elsewhere if elsewhere < 1000 else '999+'} new) ") if elsewhere else ""
        name = cut(self.client.chat_name(self.open), max(4, self.screen.columns // 3)) if self.open else ""
        return note + self.paint("bold", name) + ("> " if name else self.paint("dim", "hongyan") + "> ")

    # ---- messages

    def _message(self, message: Json) -> list[str]:
        """A message of the open chat, for good."""
        out: list[str] = []
        time_ms = number(message.get("serverTimeMs"))
        this_day = day(time_ms, int(time.time() * 1000))
        room = self.screen.columns - 1
        if this_day != self.last_day:
            self.last_day = this_day
            out.append(self.paint("dim", self._rule(this_day)))
        stamp = self.paint("dim", clock(time_ms)) + "  "
        sender = str(message.get("sender", ""))
        if number(message.get("kind")) == 2:
            text = cut(plain_text(self.client, message), room - 7)
            return out + [stamp + self.paint("dim", text)]
        name = "you" if sender == self.client.uin else cut(self.client.name(sender), 16)
        shown = pad(name, self._name_width())
        head = stamp + (self.paint("dim", shown) if name == "you" else self.paint.person(sender, shown)) + "  "
        indent = 7 + width(shown) + 2
        if room - indent < 20:
            out.append(head.rstrip())
            return out + ["  " + line for line in wrap(clean(plain_text(self.client, message)), room - 2)]
        lines = wrap(clean(plain_text(self.client, message)), room - indent)
        return out + [head + lines[0], *(" " * indent + line for line in lines[1:])]

    def _name_width(self) -> int:
        if not self.open or conversation_of(self.open)["type"] == GROUP:
            return 10
        return max(3, min(16, width(self.client.chat_name(self.open))))

    def _rule(self, words: str) -> str:
        total = min(60, self.screen.columns - 1)
        left = max(2, (total - width(words) - 2) // 2)
        return f"{'─' * left} {words} {'─' * max(2, total - left - width(words) - 2)}"

    def _show(self, messages: list[Json]) -> None:
        for message in messages:
            self.shown.add(message.get("key", ""))
            position = number(message.get("position"))
            self.oldest = min(self.oldest or position, position)
            if str(message.get("sender", "")) == self.client.uin:
                self.sending.pop(message.get("clientMsgId", ""), None)
            self.say(*self._message(message))

    def _refresh(self) -> None:
        """Prints what is new in the open chat, whoever stored it."""
        if not self.open:
            return
        rows = [m for m in self.client.stored(self.open, 200) if m.get("key") not in self.shown
                and number(m.get("position")) >= self.oldest]
        self._show(rows)
        row = self.client.chat(self.open)
        if row["unread"] and not self.reading and self.link_state != "offline":
            self.reading = True
            chat = self.open

            def read() -> None:
                try:
                    self.client.mark_read(chat, patience=2)
                finally:
                    self.reading = False
                    self.post(lambda: None)  # The prompt counts.
            self.jobs.put(read)

    def _news(self, news: list[Event]) -> None:
        self.link_state = "online"
        for event in news:
            if event.what == "message":
                message = event.value
                chat = chat_key(message.get("conversation") or {})
                if str(message.get("sender", "")) == self.client.uin and chat != self.open:
                    self.sending.pop(message.get("clientMsgId", ""), None)
                elif chat != self.open and not self.mute_notice and number(message.get("kind")) != 2:
                    self._notice(chat, message)
            elif event.what == "update" and event.value.get("key") in self.shown:
                self.say(self.paint("dim", "changed:"), *self._message(event.value))
            elif event.what == "contact" and not self.mute_notice:
                lines = contact_news(self.client, event.value, self.paint)
                if lines and number(event.value.get("state")) == 3:
                    user = one_line((event.value.get("profile") or {}).get("userName") or str(event.value.get("uin")))
                    lines.append(self.paint("dim", f"  /accept {user}  or  /remove {user}"))
                self.say(*lines)
        self._refresh()
        if self.mute_notice:
            self.mute_notice = False
            if not self.open:
                self._list()

    def _notice(self, chat: str, message: Json) -> None:
        name = self.client.chat_name(chat)
        who = f" {self.client.name(message.get('sender'))}:" if conversation_of(chat)["type"] == GROUP else ""
        text = one_line(plain_text(self.client, message))
        self.say(self.paint("yellow", cut(f"● {name}:{who} {text}", self.screen.columns - 1)))

    def _settled(self, outcome: Outcome) -> None:
        row = self.sending.get(outcome.row["client_msg_id"])
        if outcome.error:
            words = f"not sent: {cut(one_line(outcome.row['digest']), 40)} – {outcome.error.text}"
            self.say(*(self.paint("red", line) for line in wrap(clean(words), self.screen.columns - 1)))
        if row is not None:
            row["shown_state"] = "not sent; /retry or /drop" if outcome.error else "sent"

    def _send(self, text: str) -> None:
        if not self.open:
            self.say(self.paint("dim", "No conversation is open: /list shows them, /open NAME opens one, /help lists all."))
            return
        row = self.client.queue(self.open, text)
        self.sending[row["client_msg_id"]] = {**row, "text": text, "shown_state": "sending"}
        self.errands.set()
        self.rings.poke()

    def _load_sending(self) -> None:
        for state in ("queued", "failed"):
            for row in self.client.waiting(state):
                self.sending[row["client_msg_id"]] = {**row, "text": row["digest"], "shown_state": "sending"
                                                      if state == "queued" else "not sent; /retry or /drop"}

    # ---- commands

    def _line(self, line: str) -> None:
        line = line.strip("\n")
        if not line.strip():
            return
        if line.startswith("//"):
            self._send(line[1:])
        elif line.startswith("/"):
            word, _, rest = line.partition(" ")
            found = [c for c in COMMANDS if c == word] or [c for c in COMMANDS if len(word) > 1 and c.startswith(word)]
            if len(found) != 1:
                self.say(self.paint("dim", f"{one_line(word)}? /help lists the commands; //text sends text that starts with /"))
                return
            getattr(self, "_do_" + found[0][1:])(rest.strip())
        elif not self.open and line.strip().isdigit() and int(line) <= len(self.listed):
            self._do_open(line.strip())
        else:
            self._send(line)

    def _do_help(self, _: str) -> None:
        self.say(*("  " + line for line in columns([[self.paint("bold", name), what] if not self.paint.on else [name, what]
                                                    for name, what in HELP])),
                 self.paint("dim", "  Tab completes; up and down bring earlier lines back; Alt-Enter starts a new line."))

    def _do_list(self, _: str) -> None:
        self._list()

    def _list(self) -> None:
        rows = self.client.chats()
        friends = [f"1-{c['uin']}" for c in self.client.contacts() if number(c.get("state")) == FRIEND]
        rows += [{"chat": chat, "unread": 0, "time": 0} for chat in friends if all(r["chat"] != chat for r in rows)]
        self.listed = [row["chat"] for row in rows]
        now = int(time.time() * 1000)
        table = [[f"{i:3}", cut(self.client.chat_name(row["chat"]), 24), unread_text(row), moment(row["time"], now),
                  cut(self._digest(row), max(10, self.screen.columns - 52))] for i, row in enumerate(rows, 1)]
        for row, line in zip(rows, columns(table)):
            self.say(self.paint("bold", line) if row["unread"] else line)
        for contact in self.client.contacts():
            if number(contact.get("state")) == 3:
                self.say(*contact_news(self.client, contact, self.paint))
        if not rows:
            self.say("Nobody to talk to yet. /add USERNAME asks somebody to be your friend.")
        else:
            self.say(self.paint("dim", "A number or /open NAME opens a conversation; /help lists the commands."))

    def _digest(self, row: Json) -> str:
        last = row.get("last") or {}
        if not last:
            return ""
        who = "you: " if str(last.get("sender", "")) == self.client.uin and number(last.get("kind")) != 2 else ""
        return who + one_line(plain_text(self.client, last) if number(last.get("kind")) == 2 else last.get("digest") or "")

    def _do_open(self, name: str) -> None:
        if not name:
            self._list()
        elif name.isdigit() and 0 < int(name) <= len(self.listed):
            self._enter(self.listed[int(name) - 1])
        else:
            try:
                self._enter(self.client.resolve(name, ask=False))
            except Refused:
                self.ask(lambda: self.client.resolve(name), self._enter)

    def _enter(self, chat: str) -> None:
        self.open, self.shown, self.oldest, self.last_day = chat, set(), 0, ""
        row = self.client.chat(chat)
        self.say("", self.paint("bold", self._rule(self.client.chat_name(chat))))
        self._first_page(row["unread"], self.client.stored(chat, max(PAGE, min(200, row["unread"]))))
        self.mute_notice = False
        if self.link_state != "offline":
            self.ask(lambda: self.client.history(chat, PAGE, patience=1), lambda _: self._fill(chat))

    def _counts(self, message: Json) -> bool:
        return str(message.get("sender", "")) != self.client.uin and not number(message.get("flags")) & NO_UNREAD

    def _first_page(self, unread: int, page: list[Json]) -> None:
        fresh = len(page)  # Where the unread ones begin.
        while fresh and unread:
            fresh -= 1
            unread -= self._counts(page[fresh])
        older = page[:fresh]
        self._show(older)
        if len(older) < len(page):
            self.say(self.paint("yellow", self._rule("new")))
            self._show(page[len(older):])
        self._refresh()

    def _fill(self, chat: str) -> None:
        """The server's newest page is stored now: print it if nothing of it was here, or what is missing at its end."""
        if chat == self.open:
            if not self.shown:
                row = self.client.chat(chat)
                self._first_page(row["unread"], self.client.stored(chat, PAGE))
                if not self.shown:
                    self.say(self.paint("dim", "No messages yet. Write the first one."))
            self._refresh()

    def _do_close(self, _: str) -> None:
        self.open = ""
        self._list()

    def _do_history(self, count: str) -> None:
        chat, before = self.open, self.oldest
        limit = min(100, int(count)) if count.isdigit() and int(count) > 0 else PAGE
        if not chat:
            self.say(self.paint("dim", "Open a conversation first."))
            return

        def get() -> list[Json]:
            try:
                return self.client.history(chat, limit, before, patience=1)[0]
            except Unreachable:
                return self.client.stored(chat, limit, before)
        self.ask(get, lambda page: self._older(chat, page))

    def _older(self, chat: str, page: list[Json]) -> None:
        if chat != self.open:
            return
        if not page:
            self.say(self.paint("dim", "That is the beginning."))
            return
        keep, self.last_day = self.last_day, ""
        self.say(self.paint("dim", self._rule("earlier")))
        self._show(page)
        self.say(self.paint("dim", self._rule("end of earlier messages")))
        self.last_day = keep

    def _contact(self, name: str, act: Callable[[str], Json], words: str) -> None:
        if not name:
            self.say(self.paint("dim", "Whom? Give a user name."))
            return

        def then(contact: Json) -> None:
            shown = words if number(contact.get("state")) != FRIEND or "{name} is" in words else "{name} is your friend now"
            self.say(self.paint("dim", shown.format(name=self.client.name(contact.get("uin")))))
            self.errands.set()
        self.ask(lambda: act(self.client.person(name)), then)

    def _do_add(self, rest: str) -> None:
        name, _, greeting = rest.partition(" ")
        self._contact(name, lambda uin: self.client.add(uin, greeting.strip()), "asked {name}; they have to accept")

    def _do_accept(self, name: str) -> None:
        self._contact(name, self.client.accept, "{name} is your friend now: /open starts a conversation")

    def _do_remove(self, name: str) -> None:
        self._contact(name, self.client.remove, "{name} is no longer in your contacts")

    def _do_block(self, name: str) -> None:
        self._contact(name, lambda uin: self.client.block(uin, True), "{name} is blocked")

    def _do_unblock(self, name: str) -> None:
        self._contact(name, lambda uin: self.client.block(uin, False), "{name} is no longer blocked")

    def _do_remark(self, rest: str) -> None:
        name, _, remark = rest.partition(" ")
        self._contact(name, lambda uin: self.client.remark(uin, remark.strip()), "{name} is what you will see")

    def _do_contacts(self, _: str) -> None:
        words = {2: "waits for their answer", 3: "asks to be your friend: /accept"}
        table = [[self.client.name(c["uin"]), one_line((c.get("profile") or {}).get("userName") or ""),
                  "blocked" if c.get("blocked") else words.get(number(c.get("state")), "")] for c in self.client.contacts()]
        self.say(*("  " + line for line in columns(table) or ["No contacts yet: /add USERNAME asks somebody."]))

    def _do_find(self, name: str) -> None:
        def then(found: tuple[Json, Json]) -> None:
            profile, contact = found
            state = CONTACT_STATES.get(number(contact.get("state")), "other")
            note = {"friend": "your friend", "asked": "waits for their answer", "asks_me": "asks to be your friend"}
            signature = one_line(profile.get("signature") or "")
            self.say("  ".join(part for part in (one_line(profile.get("nickname") or ""), one_line(profile.get("userName") or ""),
                                                 f"uin {profile.get('uin')}", note.get(state, ""), signature) if part))
        if name:
            self.ask(lambda: self.client.find(name), then)

    def _do_nick(self, name: str) -> None:
        if name:
            self.ask(lambda: self.client.set_profile(nickname=name),
                     lambda _: self.say(self.paint("dim", f"you are {self._me()} now")))

    def _do_retry(self, _: str) -> None:
        self.client.retry_failed()
        self._load_sending()
        self.errands.set()

    def _do_drop(self, _: str) -> None:
        gone = [row["client_msg_id"] for row in self.client.waiting("failed")]
        self.client.forget(gone)
        for client_msg_id in gone:
            self.sending.pop(client_msg_id, None)

    def _do_quit(self, _: str) -> None:
        self.running = False

    def _do_group(self, rest: str) -> None:
        try:
            words = shlex.split(rest)
        except ValueError:
            words = rest.split()
        verb, names = (words[0] if words else ""), words[1:]
        if verb == "create" and names:
            self.ask(lambda: self.client.create_group(names[0], [self.client.person(n) for n in names[1:]]),
                     lambda group: self._enter(f"2-{group['id']}"))
            return
        if verb not in GROUP_VERBS or verb == "create":
            self.say(self.paint("dim", '/group create "NAME" PERSON... – or, in a group, add, remove, admin, dismiss, rename, members, leave'))
            return
        if not self.open or conversation_of(self.open)["type"] != GROUP:
            self.say(self.paint("dim", "Open the group first."))
            return
        self._in_group(self.open.partition("-")[2], verb, names, rest.partition(" ")[2].strip())

    def _in_group(self, group: str, verb: str, names: list[str], rest: str) -> None:
        def people() -> list[str]:
            members = {one_line((m.get("profile") or {}).get("userName") or "").casefold(): str(m["uin"])
                       for m in (self.client.get_group(group).get("members") or [])} if verb != "add" else {}
            return [members.get(name.casefold()) or self.client.person(name) for name in names]

        if verb == "members":
            self.ask(lambda: self.client.get_group(group), self._members)
        elif verb == "leave":
            self.ask(lambda: self.client.leave_group(group), lambda _: self._do_close(""))
        elif not rest:
            self.say(self.paint("dim", f"/group {verb} what?"))
        elif verb == "rename":
            self.ask(lambda: self.client.rename_group(group, rest), lambda _: self.errands.set())
        else:
            change = {"add": self.client.add_members, "remove": self.client.remove_members,
                      "admin": lambda group, who: self.client.set_admins(group, who, True),
                      "dismiss": lambda group, who: self.client.set_admins(group, who, False)}[verb]
            self.ask(lambda: change(group, people()), lambda _: self.errands.set())

    def _members(self, group: Json) -> None:
        roles = {1: "owner", 2: "admin"}
        self.say(*("  " + line for line in columns(
            [[self.client.name(m.get("uin")), one_line((m.get("profile") or {}).get("userName") or ""),
              roles.get(number(m.get("role")), "")] for m in group.get("members") or []])))

    def _complete(self, before: str) -> tuple[int, list[str]]:
        word, space, rest = before.partition(" ")
        if not before.startswith("/"):
            return 0, []
        if not space:
            return 0, [c for c in COMMANDS if c.startswith(word)]
        if word == "/group":
            start = before.rfind(" ") + 1
            options = GROUP_VERBS if start == len("/group ") else self.client.names(groups=False)
        elif word in NAMED:
            start, options = len(word) + 1, self.client.names(groups=word == "/open")
        else:
            return 0, []
        typed = before[start:].casefold()
        return start, [name for name in options if name.casefold().startswith(typed)]

    # ---- the main loop

    def run(self) -> None:
        self._load_sending()
        who = self.client.whoami()
        self.say(self.paint("bold", f"鸿雁 Hongyan  {one_line(who['nickname'])} ({one_line(who['user_name'])})  {who['server']}"))
        for work in (self._courier, self._clerk):
            threading.Thread(target=work, daemon=True).start()
        self.rings.start()
        self.errands.set()
        with self._terminal():
            self._loop()
        self.rings.stop()
        self._save_input()
        waiting = len(self.client.waiting())
        if waiting:
            print(f"{waiting} message{'s' if waiting > 1 else ''} not sent yet: kept, and sent next time.")

    def _loop(self) -> None:
        keys = Keys()
        self._draw()
        while self.running:
            sources = [self.wake_read] if self.leaving else [sys.stdin.fileno(), self.wake_read]
            ready = select.select(sources, [], [])[0]
            if self.wake_read in ready:
                os.read(self.wake_read, 4096)
            if sys.stdin.fileno() in ready:
                try:
                    data = os.read(sys.stdin.fileno(), 4096)
                except OSError:
                    data = b""
                if not data:
                    self._leave()
                for key, text in keys.feed(data):
                    self._press(key, text)
            while not self.inbox.empty():
                self._guarded(self.inbox.get())
            self._draw()

    def _leave(self) -> None:
        """The input has ended. What was written before, in a pipe, is done first."""
        if self.screen.raw or self.leaving:
            self.running = False
            return
        self.leaving = True

        def end() -> None:
            try:
                self.client.flush()
                news = self.client.sync()
                self.post(lambda: self._news(news))
            finally:
                self.post(lambda: self._do_quit(""))
        self.jobs.put(end)

    def _press(self, key: str, text: str) -> None:
        if key == "end-of-input":
            if not self.editor.buffer:
                self.running = False
            else:
                self.editor.press("delete")
        elif key == "suspend":
            self._suspend()
        elif key == "clear":
            self.screen.clear()
        elif key == "page-up":
            self._do_history("")
        elif key == "interrupt" and not self.editor.buffer:
            self.say(self.paint("dim", "Ctrl-D or /quit leaves."))
        else:
            line = self.editor.press(key, text)
            if self.editor.choices:
                self.say(self.paint("dim", "  ".join(self.editor.choices)))
            if line is not None:
                self._guarded(lambda: self._line(line))

    def _guarded(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:
            self.complain(_shown(error))

    @contextlib.contextmanager
    def _terminal(self) -> Iterator[None]:
        """Keys one by one and no echo, for as long as this lasts."""
        signal.signal(signal.SIGTERM, lambda *_: self.post(lambda: self._do_quit("")))
        signal.signal(signal.SIGHUP, lambda *_: self.post(lambda: self._do_quit("")))
        if not self.screen.raw:
            try:
                yield
            finally:
                self._draw()
            return
        signal.signal(signal.SIGWINCH, lambda *_: self.post(lambda: None))
        self.cooked = termios.tcgetattr(sys.stdin)
        self._raw()
        self.screen.start()
        try:
            yield
        finally:
            self.editor.set("")
            above, self.above = self.above, []
            self.screen.stop()
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self.cooked)
            for line in above:
                print(line)

    def _raw(self) -> None:
        mode = termios.tcgetattr(sys.stdin)
        mode[0] &= ~(termios.ICRNL | termios.IXON)
        mode[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, mode)

    def _suspend(self) -> None:
        self.screen.stop()
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self.cooked)
        os.kill(os.getpid(), signal.SIGTSTP)
        self._raw()
        self.screen.start()
        self.errands.set()

    # ---- earlier lines

    def _load_input(self) -> list[str]:
        try:
            lines = self.history_file.read_text(errors="replace").splitlines()
        except OSError:
            return []
        return [line.replace("\\n", "\n") for line in lines[-HISTORY_LINES_MAX:]]

    def _save_input(self) -> None:
        lines = [line.replace("\n", "\\n") + "\n" for line in self.editor.history[-HISTORY_LINES_MAX:]]
        temporary = self.history_file.with_suffix(".new")
        with contextlib.suppress(OSError), os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                                                     errors="replace") as file:
            file.writelines(lines)
            os.rename(temporary, self.history_file)


def _shown(error: Exception) -> ClientError:
    """One bad answer must not end a conversation: a bug is said, and the program goes on."""
    return error if isinstance(error, ClientError) else ClientError(-4, "bug", 6, f"This client stumbled: {error!r}")


def welcome(client: Client) -> bool:
    """Logs in or registers at the first start. False: the person would rather not."""
    print(f"鸿雁 Hongyan on {client.link.url}")
    if locate.in_clear(client.link):
        print("Warning: this connection is not encrypted; others on the way can read your password.")
    while not client.logged_in:
        try:
            choice = input("Log in, make a new account, or quit? [l/n/q] ").strip().lower()
            if choice in ("q", "quit"):
                return False
            if choice not in ("l", "n", "log in", "login", "new"):
                continue
            new = choice.startswith("n")
            name = input("User name: ").strip()
            nickname = input(f"Name that others see [{one_line(name)}]: ").strip() if new else ""
            word = getpass.getpass("Password: ")
            if new and getpass.getpass("Password again: ") != word:
                print("The two passwords differ.")
                continue
            client.register(name, word, nickname) if new else client.login(name, word)
        except ClientError as error:
            print(clean(error.text))
        except (EOFError, KeyboardInterrupt):
            print()
            return False
    return True


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="hongyan chat", description="An interactive client in the terminal.")
    locate.add_options(parser)
    arguments = parser.parse_args(words)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        client = locate.open_client(arguments, 5.0)
        if not client.logged_in:
            if not sys.stdin.isatty():
                raise NotLoggedIn()
            import readline  # noqa: F401 - input() gets line editing by it.
            if not welcome(client):
                return 0
        Chat(client).run()
        return 0 if client.logged_in else NotLoggedIn.exit_code
    except ClientError as error:
        print(f"hongyan: {clean(error.text)}", file=sys.stderr)
        return error.exit_code

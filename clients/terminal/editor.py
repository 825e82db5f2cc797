"""One line of input and the part of the terminal it is drawn in. Keys and Editor are pure: bytes in, state out.

A Screen prints lines for good above an area it redraws: a few status lines and the prompt with what is being typed, so
that news never tears a line that somebody writes. AnsiScreen needs cursor movement; DumbScreen only carriage return;
PlainScreen is for pipes. What they are given is clean already (text.clean), but for colours."""
import os
import re
import shutil
import sys
from typing import Callable, Iterator

from text import char_width, width

_SEQUENCES = {
    b"[A": "up", b"OA": "up", b"[B": "down", b"OB": "down", b"[C": "right", b"OC": "right", b"[D": "left", b"OD": "left",
    b"[H": "home", b"OH": "home", b"[1~": "home", b"[7~": "home", b"[F": "end", b"OF": "end", b"[4~": "end", b"[8~": "end",
    b"[3~": "delete", b"[1;5C": "word-right", b"[1;5D": "word-left", b"b": "word-left", b"f": "word-right",
    b"\x7f": "kill-word", b"d": "kill-word-right", b"[200~": "paste", b"[201~": "paste-end", b"\r": "newline",
    b"[5~": "page-up",
}
_CONTROLS = {1: "home", 2: "left", 3: "interrupt", 4: "end-of-input", 5: "end", 6: "right", 8: "backspace", 9: "tab",
             10: "enter", 11: "kill-right", 12: "clear", 13: "enter", 14: "down", 16: "up", 21: "kill-left",
             23: "kill-word", 25: "yank", 26: "suspend", 127: "backspace"}
_COLOUR = re.compile(r"\x1b\[\d+m")


class Keys:
    """Bytes of a terminal -> ("text", characters) or (name of a key, "")."""

    def __init__(self) -> None:
        self.rest = b""
        self.pasting = False

    def feed(self, data: bytes) -> Iterator[tuple[str, str]]:
        self.rest += data
        while self.rest:
            first = self.rest[0]
            if self.pasting and not self.rest.startswith(b"\x1b"):
                end = self.rest.find(b"\x1b")
                piece = self.rest if end < 0 else self.rest[:end]
                whole = piece.decode(errors="ignore" if end < 0 else "replace")
                cut = len(whole.encode()) if end < 0 else len(piece)
                if end < 0 and len(piece) - cut > 3:
                    cut, whole = len(piece), piece.decode(errors="replace")
                self.rest = self.rest[cut:]
                if whole:
                    yield "text", whole.replace("\r\n", "\n").replace("\r", "\n")
                if end < 0:
                    return
            elif first == 27:
                found = re.match(rb"\x1b(\[[0-9;?]*[ -/]*[@-~]|O[A-Za-z]|[^\[O\x1b])", self.rest)
                if not found:
                    if len(self.rest) > 32 or self.rest.startswith(b"\x1b\x1b"):
                        self.rest = self.rest[1:]
                        continue
                    return  # More of it comes.
                self.rest = self.rest[found.end():]
                name = _SEQUENCES.get(found[1], "")
                if name in ("paste", "paste-end"):
                    self.pasting = name == "paste"
                elif name:
                    yield name, ""
            elif first < 32 or first == 127:
                self.rest = self.rest[1:]
                if first in _CONTROLS:
                    yield _CONTROLS[first], ""
            else:
                size = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
                if len(self.rest) < size:
                    return
                character, self.rest = self.rest[:size], self.rest[size:]
                yield "text", character.decode(errors="replace")


class Editor:
    """The line being typed. press() returns the line when it is finished, else None."""

    TEXT_MAX = 32 * 1024

    def __init__(self, history: list[str], complete: Callable[[str], tuple[int, list[str]]]) -> None:
        self.history, self.complete = history, complete
        self.buffer, self.cursor, self.killed = "", 0, ""
        self.at = len(history)       # Where in the history we are.
        self.kept = ""               # What was typed before we went there.
        self.choices: list[str] = []  # To be shown: what Tab could mean.

    def set(self, text: str) -> None:
        self.buffer, self.cursor = text, len(text)

    def press(self, key: str, text: str = "") -> str | None:
        self.choices = []
        if key == "text" or key == "newline":
            self._insert("\n" if key == "newline" else "".join(c for c in text if c == "\n" or c >= " " and c != "\x7f"))
        elif key == "enter":
            line = self.buffer
            if line.strip() and (not self.history or self.history[-1] != line):
                self.history.append(line)
            self.at = len(self.history)
            self.set("")
            return line
        elif key == "tab":
            self._tab()
        elif key in ("up", "down"):
            self._move_in_history(-1 if key == "up" else 1)
        elif key in ("left", "right", "home", "end", "word-left", "word-right"):
            self.cursor = self._target(key)
        elif key in ("backspace", "kill-word", "kill-left", "delete", "kill-right", "kill-word-right"):
            goal = self._target({"backspace": "left", "kill-word": "word-left", "kill-left": "home", "delete": "right",
                                 "kill-right": "end", "kill-word-right": "word-right"}[key])
            start, end = min(goal, self.cursor), max(goal, self.cursor)
            if key.startswith("kill") and start < end:
                self.killed = self.buffer[start:end]
            self.buffer, self.cursor = self.buffer[:start] + self.buffer[end:], start
        elif key == "yank":
            self._insert(self.killed)
        elif key == "interrupt":
            self.set("")
        return None

    def _insert(self, text: str) -> None:
        text = text[:max(0, self.TEXT_MAX - len(self.buffer))]
        self.buffer = self.buffer[:self.cursor] + text + self.buffer[self.cursor:]
        self.cursor += len(text)

    def _target(self, key: str) -> int:
        at, text = self.cursor, self.buffer
        if key == "home":
            return 0
        if key == "end":
            return len(text)
        if key == "left":
            at = max(0, at - 1)
            while at > 0 and char_width(text[at]) == 0 and text[at] != "\n":
                at -= 1
        elif key == "right":
            at = min(len(text), at + 1)
            while at < len(text) and char_width(text[at]) == 0 and text[at] != "\n":
                at += 1
        elif key == "word-left":
            at = len(text[:at].rstrip())
            while at > 0 and not text[at - 1].isspace():
                at -= 1
        else:
            at += len(text[at:]) - len(text[at:].lstrip())
            while at < len(text) and not text[at].isspace():
                at += 1
        return at

    def _move_in_history(self, step: int) -> None:
        goal = self.at + step
        if not 0 <= goal <= len(self.history):
            return
        if self.at == len(self.history):
            self.kept = self.buffer
        self.at = goal
        self.set(self.kept if goal == len(self.history) else self.history[goal])

    def _tab(self) -> None:
        start, found = self.complete(self.buffer[:self.cursor])
        if not found:
            return
        common = os.path.commonprefix([word.casefold() for word in found])
        insert = found[0] + " " if len(found) == 1 else found[0][:len(common)]
        typed = self.buffer[start:self.cursor]
        if len(insert) > len(typed) or len(found) == 1:
            self.buffer = self.buffer[:start] + insert + self.buffer[self.cursor:].lstrip(" ")
            self.cursor = start + len(insert)
        else:
            self.choices = found


def visible(text: str) -> str:
    """What is typed, on one line."""
    return text.replace("\n", "⏎")


class AnsiScreen:
    raw = True

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
        self.drawn: list[int] = []  # Widths of the area's rows down to the cursor's, which counts up to the cursor.

    @staticmethod
    def size() -> tuple[int, int]:
        found = shutil.get_terminal_size((80, 24))
        return max(10, found.columns), max(4, found.lines)

    @property
    def columns(self) -> int:
        return self.size()[0]

    def start(self) -> None:
        self.write("\x1b[?2004h")

    def _erase(self) -> str:
        """A terminal that was made narrower has broken each row into several."""
        if not self.drawn:
            return ""
        columns = self.columns
        up = sum(max(1, -(-used // columns)) for used in self.drawn[:-1]) + self.drawn[-1] // columns
        return "\r" + (f"\x1b[{up}A" if up else "") + "\x1b[J"

    def draw(self, above: list[str], status: list[str], prompt: str, editor: Editor) -> None:
        columns, lines = self.size()
        rows, cursor_row, cursor_column = self._layout(prompt, editor, columns - 1)
        fits = max(1, lines - 1 - len(status))
        if len(rows) > fits:
            top = min(max(0, cursor_row - fits // 2), len(rows) - fits)
            rows, cursor_row = rows[top:top + fits], cursor_row - top
        out = self._erase() + "".join(line + "\r\n" for line in above) + "".join(line + "\r\n" for line in status)
        out += "\r\n".join(rows)
        up = len(rows) - 1 - cursor_row
        out += (f"\x1b[{up}A" if up else "") + "\r" + (f"\x1b[{cursor_column}C" if cursor_column else "")
        self.drawn = [width(_COLOUR.sub("", row)) for row in status + rows[:cursor_row]] + [cursor_column]
        self.write(out)

    @staticmethod
    def _layout(prompt: str, editor: Editor, columns: int) -> tuple[list[str], int, int]:
        rows, used = [prompt], width(_COLOUR.sub("", prompt))
        cursor = (0, used)
        for i, c in enumerate(visible(editor.buffer) + " "):
            size = char_width(c)
            if used + size > columns:
                rows.append("")
                used = 0
            if i == editor.cursor:
                cursor = (len(rows) - 1, used)
            if i < len(editor.buffer):
                rows[-1] += c
                used += size
        return rows, *cursor

    def clear(self) -> None:
        self.write("\x1b[H\x1b[2J")
        self.drawn = []

    def stop(self) -> None:
        self.write(self._erase() + "\x1b[?2004l")
        self.drawn = []


class DumbScreen:
    """One row, scrolled sideways; erased by writing spaces over it."""
    raw = True

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
        self.shown: list[str] = []  # Status lines that were printed already.

    @property
    def columns(self) -> int:
        return AnsiScreen.size()[0]

    def start(self) -> None:
        pass

    def draw(self, above: list[str], status: list[str], prompt: str, editor: Editor) -> None:
        columns = self.columns - 1
        fresh = [line for line in status if line not in self.shown]
        self.shown = list(status)
        out = "\r" + " " * columns + "\r"
        out += "".join(line + "\r\n" for line in above + fresh)
        head, tail = visible(editor.buffer[:editor.cursor]), visible(editor.buffer[editor.cursor:])
        room = max(4, columns - width(prompt) - 1)
        while width(head) > room:
            head = head[1:]
        while width(head) + width(tail) > room:
            tail = tail[:-1]
        self.write(out + prompt + head + tail + "\b" * width(tail))

    def clear(self) -> None:
        pass

    def stop(self) -> None:
        self.write("\r\n")


class PlainScreen(DumbScreen):
    raw = False

    def draw(self, above: list[str], status: list[str], prompt: str, editor: Editor) -> None:
        fresh = [line for line in status if line not in self.shown]
        self.shown = list(status)
        self.write("".join(line + "\n" for line in above + fresh))

    def stop(self) -> None:
        pass


def make_screen() -> AnsiScreen | DumbScreen | PlainScreen:
    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return PlainScreen(write)
    return DumbScreen(write) if os.environ.get("TERM", "dumb") == "dumb" else AnsiScreen(write)

"""Text for terminals. Whatever other people wrote passes through clean() or one_line() before it is printed, so that no
name or message can move the cursor, change colours, set titles, or reorder what stands around it."""
import time
import unicodedata
from typing import Iterable, Iterator

# Embeddings, overrides and isolates; marks; invisible operators; tags and fillers that hide text.
_BIDI = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_HIDDEN = {0x00AD, 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x200B, 0x2060, 0x2061, 0x2062, 0x2063, 0x2064,
           *range(0x206A, 0x2070), 0x3164, 0xFEFF, 0xFFA0, 0xFFF9, 0xFFFA, 0xFFFB, *range(0xE0000, 0xE0080)}
_MARKS_MAX = 4  # On one letter. Scripts need two or three; more only smears over the neighbouring lines.


def clean(text: str) -> str:
    """Safe to print; keeps newlines. Controls become visible pictures, what reorders or hides text goes."""
    out: list[str] = []
    marks = 0
    for c in text.replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n"):
        code = ord(c)
        if 0x20 <= code < 0x7F or c == "\n":
            marks = 0
            out.append(c)
        elif c == "\t":
            out.append("    ")
        elif code < 0x20:
            out.append(chr(0x2400 + code))
        elif code == 0x7F:
            out.append("\u2421")
        elif 0x80 <= code < 0xA0 or 0xD800 <= code < 0xE000:
            out.append("\ufffd")
        elif code in _BIDI or code in _HIDDEN:
            continue
        elif unicodedata.category(c) in ("Mn", "Me"):
            marks += 1
            if marks <= _MARKS_MAX:
                out.append(c)
        else:
            marks = 0
            out.append(c)
    return "".join(out)


def one_line(text: str) -> str:
    return " ".join(clean(text).split())


def char_width(c: str) -> int:
    code = ord(c)
    if 0x20 <= code < 0x7F:
        return 1
    if c in "\u200c\u200d" or unicodedata.category(c) in ("Mn", "Me", "Cc", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


def width(text: str) -> int:
    return sum(map(char_width, text))


def cut(text: str, columns: int) -> str:
    """At most `columns` wide, with an ellipsis where something is missing."""
    if width(text) <= columns:
        return text
    out, used = [], 0
    for c in text:
        used += char_width(c)
        if used > columns - 1:
            break
        out.append(c)
    return "".join(out) + "…"


def pad(text: str, columns: int) -> str:
    return text + " " * max(0, columns - width(text))


def wrap(text: str, columns: int) -> list[str]:
    """Lines at most `columns` wide, broken at spaces where there are some, between any two characters elsewhere."""
    lines: list[str] = []
    for line in text.split("\n"):
        current, used = "", 0
        for word in _words(line):
            size = width(word)
            if used and used + size > columns:
                lines.append(current.rstrip())
                current, used = "", 0
                word = word.lstrip()
                size = width(word)
            for c in word if size > columns else [word]:
                piece = width(c)
                if used and used + piece > columns:
                    lines.append(current)
                    current, used = "", 0
                current += c
                used += piece
        lines.append(current.rstrip())
    return lines


def _words(line: str) -> Iterator[str]:
    """Pieces that may follow each other on two lines: a word with the spaces before it, or one wide character."""
    word = ""
    for c in line:
        if c == " " and word.strip() or char_width(c) == 2:
            yield word
            word = ""
        word += c
        if char_width(c) == 2:
            yield word
            word = ""
    yield word


def columns(rows: Iterable[Iterable[str]], gap: int = 2) -> list[str]:
    """Rows of cells under each other, each column as wide as its widest cell."""
    table = [list(row) for row in rows]
    sizes = [max(width(cell) for cell in column) for column in zip(*table)]
    return [(" " * gap).join(pad(cell, size) for cell, size in zip(row, sizes)).rstrip() for row in table]


def cut_bytes(text: str, limit: int) -> str:
    """The longest start of at most `limit` bytes that cuts no character."""
    return text.encode(errors="replace")[:limit].decode(errors="ignore")


def clock(ms: int) -> str:
    return time.strftime("%H:%M", time.localtime(ms / 1000))


def moment(ms: int, now_ms: int) -> str:
    """For lists: the hour today, the date before."""
    if not ms:
        return ""
    then, now = time.localtime(ms / 1000), time.localtime(now_ms / 1000)
    if then[:3] == now[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%d %b" if then[0] == now[0] else "%Y-%m-%d", then)


def day(ms: int, now_ms: int) -> str:
    """For separators between days."""
    then = time.localtime(ms / 1000)
    for back, word in ((0, "Today"), (1, "Yesterday")):
        if time.localtime(now_ms / 1000 - back * 86400)[:3] == then[:3]:
            return word
    same_year = then[0] == time.localtime(now_ms / 1000)[0]
    return time.strftime("%A, %d %B" if same_year else "%A, %d %B %Y", then)


class Paint:
    """Colours, or nothing at all where there should be none."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def __call__(self, style: str, text: str) -> str:
        codes = {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36", "reverse": "7"}
        return f"\x1b[{codes[style]}m{text}\x1b[0m" if self.on and text else text

    def person(self, uin: str, text: str) -> str:
        """One of six colours, always the same for the same person."""
        colours = (32, 33, 34, 35, 36, 95)  # Red is for errors.
        return f"\x1b[{colours[int(uin or 0) % 6]}m{text}\x1b[0m" if self.on and text else text

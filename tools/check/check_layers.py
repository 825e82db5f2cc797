"""Checks includes and bans against layers.txt. `check_layers.py [ROOT]` prints `file:line: rule: why: the line`.

Rules: `layer` (a room includes only what its line allows, a main.cc also what the line `main` does), `sibling` (sub-rooms of x/* don't meet), `unknown` (file or
include of no listed room), `impl` (x/impl is for files below x), `testing` (gtest and testing/ folders are for tests),
`quotes` (our own headers in quotes, by their full path), `own-header` (x.cc includes x.h first, which proves that x.h
compiles alone), `ban` (a pattern outside the folders that may use it).
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')
STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)\'')
TREES = ("src", "sim", "bench", "tests", "clients")  # Files under src are named without `src/`, the others by their tree.
BANNED_TREES = ("src", "sim")  # Tests of real processes and clients live outside of the runtime's rules.
SUFFIXES = (".h", ".cc")


class Layers:
    def __init__(self, text):
        self.may, self.closed, self.bans, self.testing = {}, set(), [], []
        for line in text.splitlines():
            if line.startswith("ban "):
                pattern, rest = line[4:].split(" => ", 1)
                allowed, _, instead = rest.partition(" -- ")
                self.bans.append((re.compile(pattern.strip()), tuple(allowed.split()), instead.strip()))
            elif line.startswith("testing:"):
                self.testing = line.partition(":")[2].split()
            elif line.strip() and not line.startswith("#"):
                room, others = line.split(":")
                room = room.strip()
                if room.endswith("/*"):
                    room = room.removesuffix("/*")
                    self.closed.add(room)
                self.may[room] = others.split()

    def room_of(self, path):
        """The longest listed room that holds the path, or None."""
        return max((room for room in self.may if path.startswith(room + "/")), key=len, default=None)

    def allows(self, here, there, other):
        rights = self.may[here]
        if "-" + there in rights:
            return False
        if here == there or there in rights or "*" in rights and there not in TREES:
            return True
        # A right may also name a folder that isn't a room of its own: api/client.
        return any(right not in self.may and other.startswith(right + "/") for right in rights)


def is_test(path):
    return path.endswith(("_test.cc", "_fuzz.cc", "_bench.cc")) or "/testing/" in path or path.startswith(("tests/", "sim/"))


def complaint(layers, path, other):
    """(rule, why) if the file at path may not include other, else None."""
    here, there = layers.room_of(path), layers.room_of(other)
    if here is None:
        return None  # Said once for the file.
    if there is None:
        return "unknown", "includes from no known room"
    if "/impl/" in other and not path.startswith(other.split("impl/")[0]):
        return "impl", f"{other.split('/impl/')[0]}/impl is private to its room"
    if "/testing/" in other:
        if not is_test(path):
            return "testing", "testing/ folders are for tests"
        if any(other.startswith(folder + "/") for folder in layers.testing):
            return None
    if path.endswith("/main.cc") and there in layers.may.get("main", ()):
        return None
    if not layers.allows(here, there, other):
        return "layer", f"{here} may not include {there}"
    if here == there and here in layers.closed:
        depth = here.count("/") + 1
        if path.split("/")[depth] != other.split("/")[depth]:
            return "sibling", f"rooms of {here} meet only through what they may all include"
    return None


def code_lines(text):
    """(number, line, the same without comments and the insides of literals)."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        code = line
        if inside:
            _, end, code = code.partition("*/")
            inside = not end
            if inside:
                continue
        if not INCLUDE.match(code):
            code = STRING.sub('""', code)
            code = code.split("//")[0]
        while "/*" in code:
            before, _, after = code.partition("/*")
            if "*/" not in after:
                code, inside = before, True
                break
            code = before + " " + after.partition("*/")[2]
        yield number, line, code


def check_file(layers, tree, path, text, exists):
    """Complaints about one file; `path` as includes name it, `exists(path)` whether a header of ours has that name."""
    if layers.room_of(path) is None:
        yield 1, "unknown", "lies in no room that layers.txt lists", path
        return
    own = path.removesuffix(".cc") + ".h" if path.endswith(".cc") else None
    first = True
    for number, line, code in code_lines(text):
        found = INCLUDE.match(code)
        if found:
            quoted, other = found[1] == '"', found[2]
            if first and own and exists(own) and other != own:
                yield number, "own-header", f"the first include must be {own}", line
            first = False
            if quoted:
                if why := complaint(layers, path, other):
                    yield number, *why, line
            elif exists(other):
                yield number, "quotes", "our own headers are included in quotes", line
            elif other.startswith(("gtest/", "gmock/")) and not is_test(path):
                yield number, "testing", "only tests include gtest", line
        if tree in BANNED_TREES:
            for pattern, allowed, instead in layers.bans:
                if pattern.search(code) and not path.startswith(allowed):
                    where = " ".join(allowed) or "nowhere"
                    yield number, "ban", f"allowed only in: {where}" + (f"; use {instead}" if instead else ""), line


def check(root):
    root = pathlib.Path(root)
    layers = Layers((root / "tools/check/layers.txt").read_text())

    def exists(name):
        return (root / "src" / name).is_file() or name.split("/")[0] in TREES and (root / name).is_file()

    for tree in TREES:
        base = root / "src" if tree == "src" else root
        for file in sorted((root / tree).rglob("*")):
            if file.suffix not in SUFFIXES or "node_modules" in file.parts or not file.is_file():
                continue
            path = file.relative_to(base).as_posix()
            text = file.read_text(errors="replace")
            for number, rule, why, line in check_file(layers, tree, path, text, exists):
                yield f"{file.relative_to(root)}:{number}: {rule}: {why}: {line.strip()}"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    complaints = list(check(root))
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

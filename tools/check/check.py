"""The rules of the source tree beside its layers. `./hongyan check` runs all of them and names file and rule.

A known sin can be an exact line of tools/check/debt.txt. That file may only shrink: a line that no longer applies is
itself a complaint.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "setup"))
sys.path.insert(0, str(HERE.parent / "docs"))
import check_layers
import contract
import dependencies
import frozen

LINES_MAX = 1000  # A file that needs more holds more than one subject.
HEADINGS = ["What", "Promises", "Start here", "Tests", "Not here"]
TEXT = {".h", ".cc", ".proto", ".py", ".sh", ".md", ".txt", ".cmake", ".ts", ".tsx", ".css", ".html", ".toml", ".yml", ""}
SOURCE = {".h", ".cc", ".proto", ".py", ".sh", ".ts", ".tsx", ".css"}
MACHINE_PATH = re.compile(r"""(?:^|[\s"'`=(:])/(?:work|root|home/\w+|Users/\w+)(?:/|\b)""")
UNFINISHED = re.compile(r"\b(?:FIX" + r"ME|XX" + r"X)\b")
ROOM = re.compile(r"^\s*hongyan_room\(\s*([\w/]+)([^)]*)\)", re.MULTILINE)


def tracked(root):
    """The project's own files: what git knows or would add. Without git, everything outside of build directories."""
    try:
        out = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root,
                             capture_output=True, check=True).stdout.decode()
        names = sorted(set(out.split("\0")) - {""})
    except (OSError, subprocess.CalledProcessError):
        skipped = ("build", ".", "data", "node_modules")
        names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*")
                       if not any(part.startswith(skipped) for part in p.relative_to(root).parts))
    return [root / name for name in names if (root / name).is_file()]


def listed(words, keyword):
    """The words after a keyword of a CMake call, up to the next keyword."""
    if keyword not in words:
        return []
    rest = words[words.index(keyword) + 1:]
    end = next((i for i, word in enumerate(rest) if re.fullmatch("[A-Z_]+", word)), len(rest))
    return rest[:end]


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = tracked(self.root)

    def name(self, file):
        return file.relative_to(self.root).as_posix()

    def texts(self, suffixes):
        for file in self.files:
            if file.suffix in suffixes:
                data = file.read_bytes()
                if b"\0" not in data:
                    yield self.name(file), data.decode(errors="replace")

    def rooms(self, keyword="EXCEPT"):
        """{room: what its hongyan_room() in a CMake file lists after the keyword}."""
        found = {}
        for file in self.files:
            if file.name == "CMakeLists.txt":
                text = re.sub(r"#.*", "", file.read_text())
                for room, rest in ROOM.findall(text):
                    found[room] = listed(rest.split(), keyword)
        return found


def layers(tree):
    yield from check_layers.check(tree.root)


def linked(tree):
    """What a room links is what it may include: a test program is linked from its declared dependencies alone."""
    rules = check_layers.Layers((tree.root / "tools/check/layers.txt").read_text())
    for room, dependencies_ in tree.rooms("DEPS").items():
        here = rules.room_of(room + "/")
        if here is None:
            yield f"src/CMakeLists.txt:1: unknown: layers.txt lists no room for {room}"
            continue
        for dependency in dependencies_:
            there = rules.room_of(dependency + "/")
            if there is None or not rules.allows(here, there, dependency + "/"):
                yield f"src/CMakeLists.txt:1: layer: {room} links {dependency}, which {here} may not include"
            elif here == there and here in rules.closed and dependency != room:
                yield f"src/CMakeLists.txt:1: sibling: {room} links {dependency}; they meet only through what both may include"


def sizes(tree):
    for name, text in tree.texts(SOURCE):
        lines = text.count("\n")
        if lines > LINES_MAX:
            yield f"{name}:1: size: {lines} lines, {LINES_MAX} at most"


def words(tree):
    for name, text in tree.texts(TEXT):
        if pathlib.PurePath(name).suffix == "" and not text.startswith("#!"):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE_PATH.search(line):
                yield f"{name}:{number}: machine-path: a path of one machine: {line.strip()}"
            if UNFINISHED.search(line):
                yield f"{name}:{number}: unfinished: finish it or write TODO(perf|cleanup|test): {line.strip()}"


def readmes(tree):
    for room in tree.rooms():
        if room.endswith("/testing"):
            continue  # Described with the room whose tests it serves.
        readme = tree.root / "src" / room / "README.md"
        if not readme.is_file():
            yield f"src/{room}/README.md:1: readme: a room needs one"
            continue
        found = [match[1].strip() for match in re.finditer(r"^#{2,3} (.*)$", readme.read_text(), re.MULTILINE)]
        missing = [heading for heading in HEADINGS if heading not in found]
        if missing:
            yield f"src/{room}/README.md:1: readme: no heading ## {', ## '.join(missing)}"


def registered(tree):
    """Every .cc of src, and with it every test, belongs to exactly one room of the build."""
    rooms = tree.rooms()
    for file in tree.files:
        name = tree.name(file)
        if not name.startswith("src/") or file.suffix != ".cc":
            continue
        path = name.removeprefix("src/")
        owners = [room for room, excepted in rooms.items() if path.startswith(room + "/")
                  and not any(path.startswith(f"{room}/{deeper}/") for deeper in excepted)]
        if not owners:
            yield f"{name}:1: registered: no hongyan_room() builds it"
        elif len(owners) > 1:
            deepest = max(owners, key=len)
            yield f"{name}:1: registered: built by {', '.join(owners)}; all but {deepest} need an EXCEPT"


def compiled(tree):
    """Outside of src the CMake files are free in their form, so the build itself is asked, if there is one. Examples are
    built by a script of tests/run.d, against installed packages."""
    database = tree.root / "build/compile_commands.json"
    if not database.is_file():
        return
    known = {str(pathlib.Path(entry["directory"], entry["file"])) for entry in json.loads(database.read_text())}
    for file in tree.files:
        if file.name.endswith("_test.cc") and str(file) not in known and not tree.name(file).startswith("examples/"):
            if file.stat().st_mtime < database.stat().st_mtime:
                yield f"{tree.name(file)}:1: registered: the build does not compile this test"


def documents(tree):
    packages = dependencies.read(tree.root / "tools/setup/packages.txt")
    page = tree.root / "docs/dependencies.md"
    if not page.is_file() or page.read_text() != dependencies.render(packages):
        yield "docs/dependencies.md:1: documents: differs from tools/setup/packages.txt; run tools/setup/dependencies.py"
    if (tree.root / "src/api/client").is_dir():
        for name in contract.outdated(tree.root):
            yield f"{name}:1: documents: differs from the contract's sources; run tools/docs/contract.py"


def kept_for_ever(tree):
    if (tree.root / frozen.PAGE).is_file():
        yield from frozen.complaints(tree.root)


def executable(tree):
    """What is run by name must be executable, or `test` would pass it over without a word."""
    for file in tree.files:
        name = tree.name(file)
        if name.startswith("tests/run.d/") and file.suffix in (".sh", ".py", "") and not file.stat().st_mode & 0o100:
            yield f"{name}:1: executable: a script of tests/run.d must be executable"


CHECKS = [layers, linked, sizes, words, readmes, registered, compiled, documents, kept_for_ever, executable]


def with_debt(tree, complaints):
    debt = tree.root / "tools/check/debt.txt"
    lines = [line for line in debt.read_text().splitlines() if line and not line.startswith("#")] if debt.is_file() else []
    found = set(complaints)
    remaining = [complaint for complaint in complaints if complaint not in lines]
    paid = [f"tools/check/debt.txt:1: debt: paid, remove the line: {line}" for line in lines if line not in found]
    return remaining + paid


def unused_packages(tree):
    """Libraries of the package list that no file includes yet."""
    text = "".join(text for _, text in tree.texts({".h", ".cc"}))
    includes = set(re.findall(r'#\s*include\s*[<"]([^>"]+)', text))
    return [package for package in dependencies.read(tree.root / "tools/setup/packages.txt")
            if package.headers != "-" and not any(name.startswith(package.headers) for name in includes)]


def unformatted(tree):
    if not shutil.which("clang-format"):
        return None
    files = [str(file) for file in tree.files if file.suffix in (".h", ".cc")]
    out = subprocess.run(["clang-format", "--dry-run", *files], capture_output=True, text=True).stderr
    return sorted({line.split(":")[0] for line in out.splitlines() if "warning: code should be clang-formatted" in line})


def main():
    parser = argparse.ArgumentParser(prog="./hongyan check", description="Checks the rules of the source tree.")
    parser.add_argument("--headers", action="store_true", help="also compile every header alone (slower)")
    parser.add_argument("--notes", action="store_true", help="also list unused packages and unformatted files; no failure")
    parser.add_argument("--root", default=HERE.parents[1], help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    start = time.monotonic()
    tree = Tree(arguments.root)
    complaints = []
    for rule in CHECKS:
        complaints += rule(tree)
    complaints = with_debt(tree, complaints)
    for line in complaints:
        print(line)
    print(f"check: {len(tree.files)} files, {len(tree.rooms())} rooms, {len(complaints)} complaints, "
          f"{time.monotonic() - start:.1f} s")
    if arguments.notes:
        for package in unused_packages(tree):
            print(f"note: no file includes <{package.headers}...> of {package.name}")
        for name in unformatted(tree) or []:
            print(f"note: not as clang-format would have it: {name}")
    if arguments.headers and not complaints:
        return subprocess.run(["bash", HERE.parent / "verbs/build.sh", "check_headers"]).returncode
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

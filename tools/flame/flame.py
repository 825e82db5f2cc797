#!/usr/bin/env python3
"""A flame graph from samples: how wide a frame is, that share of the samples was in it or in what it called.

    perf record -e cpu-clock -g -p PID -- sleep 2 && perf script | python3 tools/flame/flame.py --title "rpc" > rpc.svg
    curl -s 'http://127.0.0.1:PORT/cpu?seconds=5' | python3 tools/flame/flame.py --collapsed > rpc.svg

Reads `perf script`, or collapsed stacks ("outer;inner 12", as the server's own /cpu page gives them). One file of SVG, no
script in it: a frame tells its name and share when the pointer rests on it. Frames below --least of the whole are left
out, and said so."""
import argparse
import collections
import re
import sys
from xml.sax.saxutils import escape

ROW, WIDTH, LETTER = 16, 1200, 6.6
HEX_ADDRESS = re.compile(r"^\s*[0-9a-f]+ ")
OFFSET = re.compile(r"\+0x[0-9a-f]+$")
KERNEL = ("[kernel", "[guest.kernel", "[k]")


class Frame:
    def __init__(self, name, kernel=False):
        self.name, self.kernel, self.samples, self.inner = name, kernel, 0, {}

    def add(self, stack, count):
        frame = self
        frame.samples += count
        for name, kernel in stack:
            if name not in frame.inner:
                frame.inner[name] = Frame(name, kernel)
            frame = frame.inner[name]
            frame.samples += count

    def depth(self, least):
        return 1 + max((one.depth(least) for one in self.inner.values() if one.samples >= least), default=0)


def without_templates(name):
    """std::vector<int>::push_back(int const&) -> std::vector::push_back"""
    name = name.replace("(anonymous namespace)::", "")
    out, angle, parenthesis = [], 0, 0
    operator = name.find("operator")
    for at, letter in enumerate(name):
        if operator >= 0 and at >= operator:
            out.append(letter)
            continue
        angle += letter == "<"
        parenthesis += letter == "("
        if angle == 0 and parenthesis == 0:
            out.append(letter)
        angle -= letter == ">" and angle > 0
        parenthesis -= letter == ")" and parenthesis > 0
    return re.sub(r"^(?:void|bool|int) ", "", "".join(out)).strip() or name


def perf_stacks(lines):
    """Stacks of `perf script`, outermost first: a head line, then innermost first a line a frame, then an empty one."""
    stack = []
    for line in lines:
        if not line.strip():
            if stack:
                yield list(reversed(stack)), 1
            stack = []
        elif HEX_ADDRESS.match(line) and line[0] in " \t":
            words = line.strip().split(" ", 1)[1]
            name, _, where = words.rpartition(" (")
            name = OFFSET.sub("", name.strip())
            kernel = where.startswith(KERNEL)
            if name in ("", "[unknown]"):
                name = "[" + where.rstrip(")").rsplit("/", 1)[-1].strip("[]") + "]"
            stack.append((without_templates(name), kernel))
    if stack:
        yield list(reversed(stack)), 1


def collapsed_stacks(lines):
    for line in lines:
        stack, _, count = line.rstrip().rpartition(" ")
        if stack and count.isdigit():
            yield [(without_templates(name), name.endswith("_[k]")) for name in stack.split(";")], int(count)


def colour(frame):
    shade = sum(map(ord, frame.name)) % 40
    return f"rgb({90 + shade},{130 + shade},{200 + shade // 2})" if frame.kernel else f"rgb({215 + shade},{130 + 2 * shade},60)"


def draw(root, title, least_share):
    least = max(1, root.samples * least_share)
    rows = root.depth(least)
    height = (rows + 3) * ROW
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">',
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
           f'<text x="4" y="{ROW - 3}" font-size="13">{escape(title)}</text>',
           f'<text x="4" y="{height - 5}" fill="#666">{root.samples} samples; the kernel is blue; frames below '
           f'{100 * least_share:g} % are left out</text>']

    def place(frame, x, row):
        width = WIDTH * frame.samples / root.samples
        y = height - (row + 2) * ROW - 4
        share = 100 * frame.samples / root.samples
        letters = int((width - 4) / LETTER)
        label = frame.name if len(frame.name) <= letters else frame.name[:letters - 2] + ".." if letters > 4 else ""
        out.append(f'<g><title>{escape(frame.name)}: {share:.1f} %</title><rect x="{x:.1f}" y="{y}" width="{max(width - 0.4, 0.3):.1f}" '
                   f'height="{ROW - 1}" fill="{colour(frame)}"/><text x="{x + 2:.1f}" y="{y + ROW - 5}">{escape(label)}</text></g>')
        for inner in sorted(frame.inner.values(), key=lambda one: one.name):
            if inner.samples >= least:
                place(inner, x, row + 1)
            x += WIDTH * inner.samples / root.samples

    place(root, 0, 0)
    return "\n".join(out + ["</svg>", ""])


def shares(root, count):
    """The functions that samples were in themselves, not in what they called."""
    own = collections.Counter()

    def visit(frame):
        own[frame.name] += frame.samples - sum(one.samples for one in frame.inner.values())
        for inner in frame.inner.values():
            visit(inner)

    visit(root)
    return "".join(f"{100 * samples / root.samples:5.1f} %  {name}\n" for name, samples in own.most_common(count))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--title", default="")
    parser.add_argument("--collapsed", action="store_true", help="'outer;inner COUNT' lines instead of perf script's")
    parser.add_argument("--least", type=float, default=0.5, help="percent of the samples that a frame needs to be drawn")
    parser.add_argument("--top", type=int, default=0, help="print so many functions and their own shares instead of a picture")
    options = parser.parse_args()
    root = Frame("all")
    for stack, count in (collapsed_stacks if options.collapsed else perf_stacks)(sys.stdin):
        root.add(stack, count)
    if root.samples == 0:
        print("flame: no samples", file=sys.stderr)
        return 1
    sys.stdout.write(shares(root, options.top) if options.top else draw(root, options.title, options.least / 100))
    return 0


if __name__ == "__main__":
    sys.exit(main())

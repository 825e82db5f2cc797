#!/usr/bin/env python3
"""Writes what docs say of the contract from its sources: docs/errors.md from src/model/error_code.h, the tables of
docs/protocol.md from src/api/client/*.proto and src/model/limits.h. `./hongyan check` complains when they differ."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLASSES = [
    (0, "ok", "It is done."),
    (1, "retry here", "Send the same request again at once, a few times; it is safe."),
    (2, "retry later", "Send it again after `retry_after_ms`, each time twice as long, up to a minute."),
    (3, "log in again", "Log in with the refresh token once; if that is refused too, ask the person."),
    (4, "go elsewhere", "Follow `redirect`."),
    (5, "give up", "The same request will never pass; show the person what the code means."),
    (6, "bug", "Tell the operator; do not repeat it at once."),
]


def errors(root):
    text = (root / "src/model/error_code.h").read_text()
    rows = re.findall(r'X\((\d+), (\w+), (\d), "([^"]*)"\)', text)
    names = dict((str(number), name) for number, name, _ in CLASSES)
    out = ["# Error codes", "",
           "Generated from `src/model/error_code.h` by `tools/docs/contract.py`. Every response's `base` carries `code` and `class`;",
           "on every channel the transport says only whether the transport worked. What `class` means is decided here, so that a",
           "client can act on a code it does not know.", "", "| class | name | what a client does |", "| --- | --- | --- |"]
    out += [f"| {number} | {name} | {text} |" for number, name, text in CLASSES]
    out += ["", "| code | name | class | meaning |", "| --- | --- | --- | --- |"]
    out += [f"| {code} | `{name}` | {class_} {names[class_]} | {meaning} |" for code, name, class_, meaning in rows]
    return "\n".join(out) + "\n"


def commands(root):
    rows = []
    for file in sorted((root / "src/api/client").glob("*.proto")):
        for method, request, response, options in re.findall(r"rpc (\w+)\((\w+)\) returns \((\w+)\) \{(.*?)\}\s*$", file.read_text(), re.MULTILINE):
            command = re.search(r"id: (\d+) path: \"([^\"]+)\"", options)
            anonymous = "anonymous: true" in options
            rows.append((int(command[1]), command[2], request, response, file.name, "no" if anonymous else "yes"))
    out = ["| cmdid | path | request | response | in | ticket |", "| --- | --- | --- | --- | --- | --- |"]
    out += [f"| {number} | `{path}` | {request} | {response} | {file} | {ticket} |" for number, path, request, response, file, ticket in sorted(rows)]
    return "\n".join(out)


def limits(root):
    out = ["| what | limit | why |", "| --- | --- | --- |"]
    pattern = r"inline constexpr \w+ k_(\w+) = ([^;]+);(?: *// (.*))?"
    for name, value, reason in re.findall(pattern, (root / "src/model/limits.h").read_text()):
        number = eval(value, {"__builtins__": {}})  # Products of numbers, of our own header.
        out.append(f"| {name.replace('_', ' ')} | {number:,} | {reason} |")
    return "\n".join(out)


def protocol(root):
    text = (root / "docs/protocol.md").read_text()
    for name, table in (("commands", commands(root)), ("limits", limits(root))):
        text = re.sub(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", lambda found: found[1] + table + "\n" + found[2], text, flags=re.DOTALL)
    return text


PAGES = {"docs/errors.md": errors, "docs/protocol.md": protocol}


def outdated(root):
    """The pages that differ from their sources."""
    return [page for page, render in PAGES.items()
            if not (root / page).is_file() or (root / page).read_text() != render(root)]


if __name__ == "__main__":
    for page, render in PAGES.items():
        (ROOT / page).write_text(render(ROOT))
    sys.exit(0)

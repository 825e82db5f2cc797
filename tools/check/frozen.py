#!/usr/bin/env python3
"""What the client contract has promised, kept for ever: src/api/client/frozen.txt has a line for every field, command and
error code. Nothing in it may change or go; what is new is added by running this file. `./hongyan check` compares the
protos with it, and it with what the commit before had."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = "src/api/client/frozen.txt"
HEAD = "# Every field, command and error code that clients were promised. Lines are added (tools/check/frozen.py), never changed.\n"
ENTRY = re.compile(r'\s*(?:([\w\[\].]+): (.*)|([\w\[\].]+) \{|(\}))\s*$')


def protoc(root, *arguments, data=None):
    return subprocess.run(["protoc", "-I", "src", *arguments], cwd=root, input=data, capture_output=True, check=True).stdout


def tree(text):
    """Protobuf's text format as nested {name: [values]}."""
    stack = [{}]
    for line in text.splitlines():
        scalar, value, group, end = ENTRY.match(line).groups()
        if scalar:
            stack[-1].setdefault(scalar, []).append(value.strip('"'))
        elif group:
            inner = {}
            stack[-1].setdefault(group, []).append(inner)
            stack.append(inner)
        elif end:
            stack.pop()
    return stack[0]


def one(node, name, default=""):
    return node.get(name, [default])[0]


def messages(prefix, node):
    name = prefix + one(node, "name")
    oneofs = [one(choice, "name") for choice in node.get("oneof_decl", [])]
    for field in node.get("field", []):
        kind = (one(field, "type_name") or one(field, "type")).removeprefix("TYPE_").lstrip(".")
        words = [name, one(field, "number"), one(field, "name"), kind if "." in kind else kind.lower()]
        if one(field, "label") == "LABEL_REPEATED":
            words.append("repeated")
        if "oneof_index" in field:
            words.append("oneof " + oneofs[int(one(field, "oneof_index"))])
        yield "field " + " ".join(words)
    for inner in node.get("nested_type", []):
        yield from messages(name + ".", inner)


def commands(node):
    for service in node.get("service", []):
        for method in service.get("method", []):
            command = one(one(method, "options", {}), "[hongyan.rpc.command]", {})
            if command:
                words = [one(command, "id"), one(command, "path"), one(method, "input_type").lstrip("."), one(method, "output_type").lstrip(".")]
                yield "command " + " ".join(words + (["anonymous"] if one(command, "anonymous") == "true" else []))


def promises(root):
    files = sorted(file.relative_to(root / "src").as_posix() for file in (root / "src/api/client").glob("*.proto"))
    described = protoc(root, "--include_imports", "--descriptor_set_out=/dev/stdout", *files)
    text = protoc(root, "--decode=google.protobuf.FileDescriptorSet", "google/protobuf/descriptor.proto", "rpc/options.proto",
                  data=described).decode()
    found = []
    for file in tree(text).get("file", []):
        if one(file, "package") == "hongyan.client":
            for message in file.get("message_type", []):
                found += messages("hongyan.client.", message)
            found += commands(file)
    codes = re.findall(r'X\((\d+), (\w+), (\d), "', (root / "src/model/error_code.h").read_text())
    return found + [f"code {number} {name} class {class_}" for number, name, class_ in codes]


def lines_of(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def before(root):
    """The page as the last commits had it."""
    for commit in ("HEAD", "HEAD~1"):
        shown = subprocess.run(["git", "show", f"{commit}:./{PAGE}"], cwd=root, capture_output=True)
        if shown.returncode == 0:
            yield commit, lines_of(shown.stdout.decode())


def complaints(root):
    frozen = lines_of((root / PAGE).read_text())
    now = promises(root)
    for line in frozen:
        if line not in now:
            yield f"{PAGE}:1: frozen: promised to clients and no longer so: {line}"
    for line in now:
        if line not in frozen:
            yield f"{PAGE}:1: frozen: new; if it is meant to stay for ever, run tools/check/frozen.py: {line}"
    for commit in ("HEAD", "HEAD~1"):
        changed = subprocess.run(["git", "diff", "--name-only", "--no-renames", "--diff-filter=MDT", commit, "--", "src/api/vectors"],
                                 cwd=root, capture_output=True, text=True).stdout
        for name in changed.split():
            yield f"{name}:1: frozen: a vector never changes; {commit} has another"
    for commit, lines in before(root):
        for line in lines:
            if line not in frozen:
                yield f"{PAGE}:1: frozen: {commit} has this line, and none may go: {line}"


if __name__ == "__main__":
    page = ROOT / PAGE
    frozen = lines_of(page.read_text()) if page.exists() else []
    added = [line for line in promises(ROOT) if line not in frozen]
    page.write_text(HEAD + "".join(line + "\n" for line in frozen + added))
    print(f"{len(added)} lines added")
    sys.exit(0)

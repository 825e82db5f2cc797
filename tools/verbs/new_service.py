"""A new service: proto, handler, tests, executable, README and CMake's lines, from tools/templates/service. It builds and
answers as it is. Without --in it becomes a room of this tree, src/logic/NAME; with it a source tree of its own, which
finds the installed packages (./hongyan install).
"""
import argparse
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "tools/templates/service"
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
NAME_BYTES_MAX = 40  # It becomes a part of file, class and program names.
# Words that C++ or protobuf keep for themselves, and namespaces that are taken.
TAKEN = set("""alignas alignof and asm auto bool break case catch char class compl concept const consteval constexpr
constinit continue decltype default delete do double else enum explicit export extern false float for friend goto if
inline int long mutable namespace new noexcept not nullptr operator or private protected public register requires return
short signed sizeof static struct switch template this throw true try typedef typeid typename union unsigned using
virtual void volatile while xor std google hongyan rpc runtime base main test package message service""".split())

IN_TREE = """
hongyan_room(logic/{name} DEPS base model runtime rpc api SERVICE_PROTOS logic/{name}/{name}.proto TEST_DEPS runtime/testing)
hongyan_program(hongyan-{kebab} logic/{name}/main.cc DEPS logic/{name} runtime/os)
"""


def words_of(name, in_tree):
    kebab = name.replace("_", "-")
    return {"name": name, "Name": "".join(part.capitalize() for part in name.split("_")),
            "dir": f"logic/{name}/" if in_tree else "",
            "package": f"hongyan.{name}" if in_tree else name,
            "namespace": f"hongyan::{name}" if in_tree else name,
            "program": f"hongyan-{kebab}" if in_tree else kebab}


def write(folder, words, in_tree):
    folder.mkdir(parents=True, exist_ok=True)
    for template in sorted(TEMPLATES.iterdir()):
        target = re.sub(r"^name(?=[._])", words["name"], template.name.removesuffix(".in"))
        if in_tree and target == "CMakeLists.txt":
            continue
        text = re.sub(r"@(\w+)@", lambda match: words[match[1]], template.read_text())
        (folder / target).write_text(text)


def main():
    parser = argparse.ArgumentParser(prog="./hongyan new-service", description="Makes a service that builds and answers at once.")
    parser.add_argument("name", metavar="NAME", help="in lower case: word_count")
    parser.add_argument("--in", dest="folder", metavar="DIR", type=pathlib.Path,
                        help="a source tree of its own in DIR/NAME; default: the room src/logic/NAME")
    arguments = parser.parse_args()
    name = arguments.name
    if not NAME.fullmatch(name) or len(name) > NAME_BYTES_MAX or name in TAKEN:
        parser.error(f"'{name}' can't be the name of a service: lower case letters, digits and single underscores, "
                     f"at most {NAME_BYTES_MAX}, no word of C++")
    in_tree = arguments.folder is None
    folder = ROOT / "src/logic" / name if in_tree else arguments.folder.resolve() / name
    if folder.exists():
        parser.error(f"{folder} is there already")
    words = words_of(name, in_tree)
    try:
        write(folder, words, in_tree)
    except OSError as error:
        sys.exit(f"hongyan: {error}")
    print(f"made {os.path.relpath(folder) if in_tree else folder}")
    if in_tree:
        with open(ROOT / "src/CMakeLists.txt", "a") as cmake:
            cmake.write(IN_TREE.format(name=name, kebab=name.replace("_", "-")))
        print(f"  ./hongyan build {words['program']} && build/bin/{words['program']} 127.0.0.1:7300")
    else:
        print(f"  ./hongyan install PREFIX\n  cmake -S {folder} -B {folder}/build -DCMAKE_PREFIX_PATH=PREFIX && "
              f"cmake --build {folder}/build\n  {folder}/build/{words['program']} 127.0.0.1:7300")
    print(f"  ./hongyan rpc 127.0.0.1:7300 {words['Name']}.Hello '{{\"name\": \"Ann\"}}'")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Writes docs/dependencies.md from packages.txt, so that the list that is installed is the list that is explained."""
import pathlib
import typing

GROUPS = {
    "build": "To build and start it (`up`, `build`)",
    "test": "To test it (`test`), beside the above",
    "web": "To build the web client, once `clients/web` is there",
    "browser": "To test the web client (`test`)",
    "fmt": "To format the source (`fmt`); never installed without being asked",
    "bench": "To measure beside peers (`bench coro`, `bench rpc`, `bench http`); never installed without being asked",
    "debug": "To look at coroutines with gdb; never installed without being asked",
    "fuzz": "To fuzz (`fuzz`); never installed without being asked",
}


class Package(typing.NamedTuple):
    group: str
    name: str
    command: str
    headers: str
    reason: str


def read(path):
    packages = []
    for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            fields = [field.strip() for field in line.split("|")]
            if len(fields) != 5 or not all(fields) or fields[0] not in GROUPS:
                raise ValueError(f"{path}:{number}: want `group | package | command | headers | reason`")
            packages.append(Package(*fields))
    return packages


def render(packages):
    lines = ["# What we depend on, and why", "",
             "Generated from `tools/setup/packages.txt` by `tools/setup/dependencies.py`; edit that file. Names are those of",
             "Debian 12, whose versions are the ones we build with. Nothing is vendored and nothing is fetched at build time,",
             "but the locked packages of the web client. `./hongyan doctor` says which of these a machine lacks.", "",
             "A new dependency needs a reason that a few hundred lines of our own would not meet, a licence that goes with",
             "Apache-2.0, and a package in Debian 12."]
    for group, title in GROUPS.items():
        lines += ["", f"## {title}", "", "| package | reason |", "| --- | --- |"]
        lines += [f"| `{package.name}` | {package.reason} |" for package in packages if package.group == group]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    (here.parents[1] / "docs/dependencies.md").write_text(render(read(here / "packages.txt")))

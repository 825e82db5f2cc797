"""Messages of kind 2 as sentences. Their content is the protobuf message client.SystemContent: a template and its
arguments, so that each client writes the sentence; the digest is for templates this client does not know."""
from typing import Callable, Iterator

from client import from_base64, number
from store import Json
from text import one_line

_SENTENCES = {
    "friend.accepted": "You are friends now. Say hello!",
    "friend.added": "You are friends now. Say hello!",
    "group.created": "{actor} created the group",
    "group.renamed": "{actor} renamed the group to “{name}”",
    "group.member_added": "{actor} added {members}",
    "group.member_removed": "{actor} removed {members}",
    "group.member_left": "{actor} left the group",
    "group.admin_added": "{actor} made {members} an admin",
    "group.admin_removed": "{members} is no admin any more",
}


def fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """(number, value) of a protobuf message; ends where it makes no sense."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = 0
        for shift in range(0, 70, 7):
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                break
        return value

    try:
        while at < len(data):
            tag = varint()
            if tag & 7 == 0:
                yield tag >> 3, varint()
            elif tag & 7 == 2:
                size = varint()
                if at + size > len(data):
                    return
                yield tag >> 3, data[at:at + size]
                at += size
            else:
                return
    except IndexError:
        return


def sentence(message: Json, name: Callable[[str], str]) -> str:
    """Clean, one line. `name` shows a person."""
    template, words = "", {"actor": name(str(message.get("sender", "")))}
    people: list[str] = []
    for field, value in fields(from_base64(message.get("content"))):
        if field == 1 and isinstance(value, bytes):
            template = value.decode(errors="replace")
        elif field == 2 and isinstance(value, bytes):
            arg = dict(fields(value))
            if arg.get(1) == b"actor" and number(arg.get(3)):
                words["actor"] = name(str(arg[3]))
            elif number(arg.get(3)):
                people.append(name(str(arg[3])))
            elif isinstance(arg.get(1), bytes) and isinstance(arg.get(2), bytes):
                words[arg[1].decode(errors="replace")] = one_line(arg[2].decode(errors="replace"))
    words["members"] = ", ".join(people) or "somebody"
    text = _SENTENCES.get(template)
    try:
        return text.format_map(words) if text else one_line(str(message.get("digest", "")))
    except (KeyError, IndexError, ValueError):
        return one_line(str(message.get("digest", "")))

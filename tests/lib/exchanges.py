"""Recorded exchanges: one command each, with the bytes and the JSON of request and response.

A recording says what a client of that day sent and what it got. Replaying it, three things must hold on every later
commit: the recorded bytes still mean the recorded JSON; the request is accepted, with what differs between two servers
(ids, tickets, snapshots) replaced; and everything the old answer said is in the new one. Answers may say more."""
import http.client
import json
import socket
import struct

from google.protobuf import json_format

# What may differ between two servers, and is replaced in later requests by what this server said.
RENAMED = {"ticket", "refresh", "snapshot", "uin", "key", "id", "sender", "actor"}
IGNORED = {"serverTimeMs", "createdMs", "sinceMs", "seenMs", "configEpoch", "serverVersion", "debug", "retryAfterMs", "newTicket"}
OPAQUE = {"deviceEpoch", "epoch"}  # Numbers that only grow; where they begin says nothing.
BODY_HEAD = b"\x01\x00"


def commands():
    """path -> (number, request type, response type), from the options of the compiled protos."""
    from api.client import chat_pb2, friend_pb2, group_pb2, login_pb2, sync_pb2
    from google.protobuf import message_factory, symbol_database
    from rpc import options_pb2
    factory = symbol_database.Default()
    table = {}
    for module in (chat_pb2, friend_pb2, group_pb2, login_pb2, sync_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                command = method.GetOptions().Extensions[options_pb2.command]
                types = [getattr(message_factory, "GetMessageClass", factory.GetPrototype)(t)
                         for t in (method.input_type, method.output_type)]
                table[command.path] = (command.id, *types)
    return table


def ask(ready, link, table, path, request):
    """The response's message bytes."""
    body = BODY_HEAD + request
    if link == "short":
        connection = http.client.HTTPConnection(ready["web"].removeprefix("http://"), timeout=30)
        connection.request("POST", "/s/" + path, body, {"Connection": "close"})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        assert answer.status == 200, (path, answer.status)
    else:
        host, _, port = ready["long_link"].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as stream:
            number, seq = table[path][0], 7
            stream.sendall(struct.pack(">5I", 20, 1, number, seq, len(body)) + body)
            head = struct.unpack(">5I", stream.recv(20, socket.MSG_WAITALL))
            assert head[:4] == (20, 1, number, seq), head
            data = stream.recv(head[4], socket.MSG_WAITALL)
    assert data[:2] == BODY_HEAD, data[:2]
    return data[2:]


def as_json(message):
    return json_format.MessageToDict(message)


def rename(value, names):
    """`value` with every known text replaced."""
    if isinstance(value, dict):
        return {key: rename(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [rename(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def learn(recorded, actual, names, field=""):
    """Pairs of what the recorded server said and what this one says."""
    if isinstance(recorded, dict) and isinstance(actual, dict):
        for key in recorded.keys() & actual.keys():
            learn(recorded[key], actual[key], names, key)
    elif isinstance(recorded, list) and isinstance(actual, list):
        for a, b in zip(recorded, actual):
            learn(a, b, names, field)
    elif field in RENAMED and isinstance(recorded, str) and isinstance(actual, str):
        names.setdefault(recorded, actual)


def missing(recorded, actual, names, place=""):
    """What the recorded answer says and this one does not."""
    if isinstance(recorded, dict):
        for key, value in recorded.items():
            if key in IGNORED:
                continue
            if not isinstance(actual, dict) or key not in actual:
                yield f"{place}.{key}: missing, was {json.dumps(value)[:80]}"
            elif key in OPAQUE:
                if not isinstance(actual[key], int) or actual[key] <= 0:
                    yield f"{place}.{key}: {json.dumps(actual[key])} is no epoch"
            else:
                yield from missing(value, actual[key], names, f"{place}.{key}")
    elif isinstance(recorded, list):
        if len(recorded) != len(actual):
            yield f"{place}: {len(actual)} items, were {len(recorded)}"
        for number, (a, b) in enumerate(zip(recorded, actual)):
            yield from missing(a, b, names, f"{place}[{number}]")
    elif rename(recorded, names) != actual:
        yield f"{place}: {json.dumps(actual)}, was {json.dumps(recorded)}"


def fixed(value):
    """Codes are part of what must not change, also where they are 0 and so left out."""
    return value.get("base", {}).get("code", 0)


def replay(ready, table, recording, names):
    """Complaints about one recorded exchange; `names` learns from its answer."""
    path = recording["path"]
    _, request_type, response_type = table[path]
    for which, message_type in (("request", request_type), ("response", response_type)):
        understood = as_json(message_type.FromString(bytes.fromhex(recording[which + "_hex"])))
        if understood != recording[which]:
            yield f"the recorded {which} means something else now: {understood}"
    request = json_format.ParseDict(rename(recording["request"], names), request_type())
    answer = as_json(response_type.FromString(ask(ready, recording["link"], table, path, request.SerializeToString())))
    learn(recording["response"], answer, names)
    if fixed(answer) != fixed(recording["response"]):
        yield f"code {fixed(answer)}, was {fixed(recording['response'])}: {answer.get('base')}"
    yield from missing(recording["response"], answer, names)

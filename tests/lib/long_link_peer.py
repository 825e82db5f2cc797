#!/usr/bin/env python3
"""One account on the long link for tests in other languages: a JSON object a line on stdin, its answer on stdout.

    long_link_peer.py ADDRESS NAME PASSWORD NICKNAME        registers, answers {"uin": "..."}
    {"do": "accept" | "add", "uin": "..."}                  answers {}
    {"do": "send", "to": "...", "message": {...}}           answers {"key": base64}
    {"do": "wait", "count": N}                              answers {"messages": [...]} once N came from others

A message has kind, content, digest, flags and ext, bytes as base64; `extra` is the raw bytes of more protobuf fields of
the Message, which the sent Message then carries as fields its receivers don't know."""
import base64
import json
import pathlib
import sys
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
sys.path.insert(0, str(ROOT / "clients/sample_python"))
from protos import compile_protos  # noqa: E402

K_WAIT_S = 20


def send(client, to, fields):
    from api.client import message_pb2
    message = message_pb2.Message(
        conversation=message_pb2.Conversation(type=1, id=to), client_msg_id=str(uuid.uuid4()),
        client_time_ms=int(time.time() * 1000), kind=fields["kind"], content=base64.b64decode(fields["content"]),
        digest=fields["digest"], flags=fields["flags"], ext=base64.b64decode(fields["ext"]))
    extra = base64.b64decode(fields.get("extra", ""))
    message.MergeFromString(extra)
    assert message.SerializeToString().endswith(extra), "the extra fields travel as they are"
    sent = client.ask("send", messages=[message]).sent[0]
    assert sent.code == 0, sent
    return {"key": base64.b64encode(sent.key).decode()}


def wait(client, rung, count):
    """Everything others sent that is no system line, in order, once there are `count`."""
    limit = time.monotonic() + K_WAIT_S
    while True:
        rung.clear()
        client.sync()
        came = [m for m in client.messages if m.sender != client.uin and m.kind != 2]
        if len(came) >= count:
            return {"messages": [{"kind": m.kind, "content": base64.b64encode(m.content).decode(), "digest": m.digest,
                                  "flags": m.flags, "ext": base64.b64encode(m.ext).decode()} for m in came]}
        if not rung.wait(max(0, limit - time.monotonic())):
            return {"error": f"{len(came)} messages came, not {count}"}


def main():
    address, name, password, nickname = sys.argv[1:]
    folder = compile_protos()
    import hongyan_sample as sample
    rung = threading.Event()
    client = sample.Client(sample.LongLink(address, lambda ring: rung.set()))
    client.register(name, password, nickname)
    print(json.dumps({"uin": str(client.uin)}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "send":
            answer = send(client, int(order["to"]), order["message"])
        elif order["do"] == "wait":
            answer = wait(client, rung, order["count"])
        else:
            client.ask("friend/" + order["do"], uin=int(order["uin"]))
            answer = {}
        print(json.dumps(answer), flush=True)
    client.link.close()
    folder.cleanup()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What one sees of servers that run. A request over the web with a traceparent is one tree of spans, gate -> logic -> data,
in the bundle and over processes, on the pages and as OTLP/JSON; log lines name the call's user and trace; profiles are
taken of a server that works; every process, each worker too, has counters that others read, and what the dead leave is
told and removed."""
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("tests/lib", "tools/verbs"):
    sys.path.insert(0, str(ROOT / folder))
from services import LIMIT_S, deployed  # noqa: E402
from web_client import Client, Server, befriend, new_password  # noqa: E402

COUNTERS = ROOT / "build/bin/hongyan-counters"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
INBOX_SEND = "hongyan.internal.Inbox.Send"
# Of OTLP's ExportTraceServiceRequest, what we write: field -> type of its JSON value; a trailing "?": may be missing.
SPAN = {"traceId": str, "spanId": str, "parentSpanId?": str, "name": str, "kind": int, "startTimeUnixNano": str,
        "endTimeUnixNano": str, "attributes": list, "status": dict}


def get(address, path, timeout=60):
    connection = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=timeout)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def page(address, path):
    status, text = get(address, path + ("&" if "?" in path else "?") + "format=json")
    assert status == 200, (path, status, text)
    return json.loads(text)


def only(value, fields, where):
    names = {field.rstrip("?"): kind for field, kind in fields.items()}
    assert set(value) <= set(names), (where, set(value) - set(names))
    for field, kind in fields.items():
        if field.rstrip("?") in value:
            assert type(value[field.rstrip("?")]) is kind, (where, field, value)
        else:
            assert field.endswith("?"), (where, field, value)


def attributes(listed):
    found = {}
    for one in listed:
        only(one, {"key": str, "value": dict}, "attribute")
        [(kind, value)] = one["value"].items()
        assert kind in ("stringValue", "intValue") and type(value) is str, one
        assert kind != "intValue" or int(value) >= 0
        found[one["key"]] = value
    return found


def spans_of(line):
    """The spans of one line of OTLP/JSON, each with its service; asserts that the line is what a collector takes."""
    request = json.loads(line)
    only(request, {"resourceSpans": list}, "request")
    for of_resource in request["resourceSpans"]:
        only(of_resource, {"resource": dict, "scopeSpans": list}, "resourceSpans")
        only(of_resource["resource"], {"attributes": list}, "resource")
        resource = attributes(of_resource["resource"]["attributes"])
        assert {"service.name", "service.version", "process.pid"} <= set(resource), resource
        for of_scope in of_resource["scopeSpans"]:
            only(of_scope, {"scope": dict, "spans": list}, "scopeSpans")
            only(of_scope["scope"], {"name": str}, "scope")
            for span in of_scope["spans"]:
                only(span, SPAN, "span")
                assert re.fullmatch("[0-9a-f]{32}", span["traceId"]) and re.fullmatch("[0-9a-f]{16}", span["spanId"]), span
                assert re.fullmatch("[0-9a-f]{16}", span.get("parentSpanId", PARENT)), span
                assert span["kind"] in (1, 2, 3) and span["status"]["code"] in (1, 2), span
                assert 0 < int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]), span
                span["of"] = attributes(span["attributes"])
                assert span["of"]["rpc.system"] == "hongyan", span
                yield {**span, "service": resource["service.name"]}


def traced(directory, enough):
    """The spans of our trace in all files of a directory, once they are enough."""
    limit = time.monotonic() + LIMIT_S
    while True:
        spans = []
        for path in sorted(directory.glob("*.jsonl")):
            for line in path.read_text().splitlines(keepends=True):
                if line.endswith("\n"):  # Else it is being written.
                    spans += [span for span in spans_of(line) if span["traceId"] == TRACE]
        if enough(spans):
            return spans
        assert time.monotonic() < limit, [(s["service"], s["name"], s["kind"]) for s in spans]
        time.sleep(0.1)


def send_traced(server, sender, to):
    """Sends a message with a traceparent as a header, as a browser's instrumentation would."""
    body = {"base": {"ticket": sender.ticket, "deviceId": sender.device_id}, "messages": [sender.message(to, "traced")]}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
    connection.request("POST", "/api/v1/send", json.dumps(body),
                       {"Content-Type": "application/json", "traceparent": f"00-{TRACE}-{PARENT}-01"})
    answer = json.loads(connection.getresponse().read())
    assert answer["base"].get("code", 0) == 0, answer


def path_to_root(span, by_id):
    names = []
    while span is not None:
        names.append(span["of"]["rpc.method"] + ("" if span["kind"] != 3 else " called"))
        span = by_id.get(span.get("parentSpanId"))
    return names


def check_tree(spans, hop):
    """One root, below the caller's span; the inbox's send is below chat's send, which is below the gate's."""
    by_id = {span["spanId"]: span for span in spans}
    assert len(by_id) == len(spans), "a span twice"
    roots = [span for span in spans if span.get("parentSpanId") not in by_id]
    assert [(root["parentSpanId"], root["of"]["rpc.method"]) for root in roots] == [(PARENT, "Send")], roots
    inbox = [span for span in spans if span["name"] == INBOX_SEND and span["kind"] != 3]
    assert len(inbox) == 1, [span["name"] for span in spans]
    assert path_to_root(inbox[0], by_id)[1:] == hop, path_to_root(inbox[0], by_id)
    for span in spans:
        assert span["of"]["hongyan.code"] == "0" and span["status"]["code"] == 1, span
    return roots[0], inbox[0]


def bundle(directory):
    config = directory / "bundle.toml"
    log = directory / "log"
    # One device talks as fast as it can while profiles are taken.
    config.write_text(f'[log]\nlevel = "debug"\nformat = "json"\nfile = "{log}"\n[trace]\nper_million = 0\ndirectory = "{directory}/traces"\n'
                      '[limits]\nrequests_per_second = 1000000\nrequests_burst = 1000000\noverload = "off"\n')
    with Server(options=("--config", str(config))) as server:
        ann, ben = (Client(server, name, new_password()).register() for name in ("ann", "ben"))
        befriend(ann, ben)
        ann.send(ben.uin, "not traced")
        send_traced(server, ann, ben.uin)
        spans = traced(directory / "traces", lambda found: any(span.get("parentSpanId") == PARENT for span in found))
        root, stored = check_tree(spans, ["Send", "Send"])
        assert root["kind"] == 2 and stored["kind"] == 1 and root["of"]["enduser.id"] == ann.uin == stored["of"]["enduser.id"], (root, stored)
        for span in spans:  # In one process they lie in each other.
            assert int(root["startTimeUnixNano"]) <= int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) <= int(root["endTimeUnixNano"]), span
        every = [span for path in (directory / "traces").iterdir() for line in path.read_text().splitlines() for span in spans_of(line)]
        assert {span["traceId"] for span in every} == {TRACE}, "what was not to be sampled was"
        address = server.ready["server_api"]
        shown = page(address, "/traces?id=" + TRACE)["rows"]
        assert {row["span"] for row in shown} == {span["spanId"] for span in spans}, shown
        assert shown[0]["parent"] == PARENT and shown[0]["name"].endswith("Chat.Send"), shown[0]
        print(f"bundle: {len(spans)} spans, one tree")

        lines = [json.loads(line) for line in log.read_text().splitlines()]
        of_call = [line for line in lines if line.get("trace") == TRACE]
        assert of_call and all(line["uin"] == int(ann.uin) and line["level"] == "debug" for line in of_call), of_call
        assert len({line["trace"] for line in lines if line["text"] == "entry: answered"}) > 5, "every request has a trace"

        profile(server, address, ann, ben)
        shown = {row["name"]: row for row in page(address, "/vars?filter=hongyan_runtime")["rows"]}
        for name in ("hongyan_runtime_turn", "hongyan_runtime_ready", "hongyan_runtime_timers", "hongyan_runtime_coroutines",
                     "hongyan_runtime_parked", "hongyan_runtime_parked_bytes", 'hongyan_runtime_stacks_in_use{size="64k"}',
                     'hongyan_runtime_stack_depth_max_bytes{size="64k"}'):
            assert shown[name]["help"], name
        assert shown["hongyan_runtime_turn"]["unit"] == "us" and shown["hongyan_runtime_coroutines"]["value"] > 0


def profile(server, address, ann, ben):
    if get(address, "/cpu?seconds=1")[0] == 501:
        print("profiles: this sandbox lets nobody read stacks")
        return
    over = threading.Event()

    def work():
        while not over.is_set():
            ann.send(ben.uin, "work")

    talker = threading.Thread(target=work)
    talker.start()
    try:
        results = {}
        def of_the_processor():  # Again while the other one is under way: which comes first is chance.
            limit = time.monotonic() + LIMIT_S
            while (answer := get(address, "/cpu?seconds=2"))[0] == 409 and time.monotonic() < limit:
                time.sleep(0.05)
            results["cpu"] = answer

        first = threading.Thread(target=of_the_processor)
        first.start()
        while get(address, "/heap?seconds=1")[0] == 200 and "cpu" not in results:
            time.sleep(0.5)  # The other one had not begun; now it can.
        first.join()
        assert results["cpu"][0] == 200 and "hongyan::" in results["cpu"][1], results
        for line in results["cpu"][1].splitlines():
            stack, _, count = line.rpartition(" ")
            assert int(count) > 0 and ";" in stack, line
        status, heap = get(address, "/heap?seconds=1")
        assert status == 200, heap
        assert get(address, "/cpu?seconds=61")[0] == 400 and get(address, "/cpu?seconds=x")[0] == 400
        assert page(address, "/heap")["facts"]["in_use_bytes"] > 1_000_000
        # A profile does not hold up the end of the server, which the caller of this function stops: see end_early().
        print(f"profiles: {len(results['cpu'][1].splitlines())} stacks of the processor, {len(heap.splitlines())} of memory")
    finally:
        over.set()
        talker.join()


def processes(directory):
    (directory / "counters").mkdir()
    more = ("[counters]", f'file = "{directory}/counters"', "[workers]", "count = 2", "[log]", 'level = "debug"',
            "[trace]", "per_million = 0", f'directory = "{directory}/traces"')
    with deployed("observe", more=more, ended_before=("inbox",)) as (deployment, server):
        ann, ben = (Client(server, name, new_password()).register() for name in ("ann", "ben"))
        befriend(ann, ben)
        send_traced(server, ann, ben.uin)
        spans = traced(directory / "traces", lambda found: any(span.get("parentSpanId") == PARENT for span in found) and
                       any(span["service"].startswith("hongyan-inbox") for span in found) and
                       any(span["service"].startswith("hongyan-chat") and span["kind"] == 2 for span in found))
        root, stored = check_tree(spans, ["Send called", "Send", "Send called", "Send"])
        assert root["service"] == "hongyan-web-gate" and stored["service"] == "hongyan-inbox", (root, stored)
        assert stored["of"]["enduser.id"] == ann.uin, stored
        print(f"processes: {len(spans)} spans of {len({span['service'] for span in spans})} processes, one tree")
        inbox = deployment.ready["inbox"]["inbox"]
        assert any(row["span"] == stored["spanId"] for row in page(inbox, "/traces?id=" + TRACE)["rows"])
        log = (deployment.data / "logs/inbox.log").read_text()
        assert f"uin={ann.uin} trace={TRACE}" in log, "the log does not speak of the call"
        counters(deployment, directory / "counters")


def listed(directory):
    done = subprocess.run([str(COUNTERS), str(directory), "--filter", "hongyan_runtime_coroutines_made"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    living = dict(re.findall(r"^(/\S+) of process (\d+)$", done.stdout, re.M))
    dead = dict(re.findall(r"^(/\S+) is of process (\d+), which is dead$", done.stderr, re.M))
    return {int(pid): path for path, pid in living.items()}, {int(pid): path for path, pid in dead.items()}


def counters(deployment, directory):
    living, _ = listed(directory)
    inbox = deployment.processes["inbox"].pid
    assert inbox in living, (inbox, living)
    # The master of chat has none; its two workers have one each.
    children = {int(pid) for pid in subprocess.run(["pgrep", "-P", str(deployment.processes["chat"].pid)], stdout=subprocess.PIPE, text=True).stdout.split()}
    assert len(children) == 2 and children <= set(living), (children, living)
    assert len({living[child] for child in children}) == 2
    deployment.kill("inbox")
    living, dead = listed(directory)
    assert inbox not in living and inbox in dead, (inbox, living, dead)
    left = dead[inbox]
    deployment.stop("contact")
    deployment.start("contact")  # Any server of this user.
    _, dead = listed(directory)
    assert inbox not in dead and not pathlib.Path(left).exists(), dead
    print(f"counters: {len(living)} processes; what a dead one left is gone")


def main():
    with tempfile.TemporaryDirectory(prefix="hongyan-observe-") as folder:
        for name, part in (("a", bundle), ("b", processes)):
            directory = pathlib.Path(folder, name)
            directory.mkdir()
            part(directory)
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()

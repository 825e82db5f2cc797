#!/usr/bin/env python3
"""Writes src/api/vectors: for every command one file with a request and its answer, as bytes and as JSON, every field of
the contract set. A vector is never changed: what a client of that day reads and writes stays readable. New commands get
new files; `tools/docs/vectors.py` adds what is missing and refuses to write over a vector."""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
VECTORS = ROOT / "src/api/vectors"
DEPTH_MAX = 5  # A message that holds its own kind (a quote in a message) ends here.
sys.path.insert(0, str(ROOT / "tests/lib"))


def scalar(field):
    """A value that no default, no other type and no neighbour would give: from the field's own number."""
    n = field.number
    if field.type == field.TYPE_STRING:
        return f"{field.name} 鸿雁 {n}"
    if field.type == field.TYPE_BYTES:
        return bytes((n * 7 + i * 37) & 0xFF for i in range(16))
    if field.type == field.TYPE_BOOL:
        return True
    if field.type in (field.TYPE_UINT64, field.TYPE_INT64):
        return (1 << 43) + n
    if field.type in (field.TYPE_UINT32, field.TYPE_INT32):
        return 1000 + n
    raise TypeError(f"{field.full_name}: a type this contract had none of")


def fill(message, depth=0, variant=None):
    """Sets every field; of a oneof the variant, or the first."""
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is not None:
            wanted = variant or field.containing_oneof.fields[0].name
            if field.name != wanted:
                continue
        repeated = field.label == field.LABEL_REPEATED
        if field.type != field.TYPE_MESSAGE:
            if repeated:
                getattr(message, field.name).extend([scalar(field)] * 2)
            else:
                setattr(message, field.name, scalar(field))
        elif depth < DEPTH_MAX:
            variants = [f.name for oneof in field.message_type.oneofs for f in oneof.fields] or [None]
            if repeated:
                for one in variants:
                    fill(getattr(message, field.name).add(), depth + 1, one)
            else:
                fill(getattr(message, field.name), depth + 1, variants[0])
    return message


def main():
    from protos import compile_protos
    written = 0
    with compile_protos():
        import exchanges
        for path, (number, request_type, response_type) in sorted(exchanges.commands().items(), key=lambda item: item[1][0]):
            file = VECTORS / f"{number}-{path.replace('/', '-')}.json"
            if file.exists():
                continue
            request, response = fill(request_type()), fill(response_type())
            vector = {"path": path, "cmdid": number,
                      "request_hex": request.SerializeToString(deterministic=True).hex(), "request": exchanges.as_json(request),
                      "response_hex": response.SerializeToString(deterministic=True).hex(), "response": exchanges.as_json(response)}
            file.write_text(json.dumps(vector, indent=1, ensure_ascii=False) + "\n")
            written += 1
    print(f"{written} vectors written")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What a client of feature level 1 was told once still holds: every recorded exchange, replayed against this server."""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
from protos import compile_protos  # noqa: E402
from web_client import Server  # noqa: E402


def main():
    files = sorted((ROOT / "tests/recorded/level1").glob("*.json"))
    assert files, "nothing is recorded"
    failed = 0
    with compile_protos(), Server() as server:
        import exchanges
        table, names = exchanges.commands(), {}
        for file in files:
            recording = json.loads(file.read_text())
            complaints = list(exchanges.replay(server.ready, table, recording, names))
            failed += bool(complaints)
            for complaint in complaints:
                print(f"{file.name}: {complaint}")
        assert server.stop() == 0, server.output[-5:]
    print(f"{len(files) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env bash
# Each measurement runs for a moment: it works, and its report has the shape that tools read. Figures of so short a run
# on a busy machine mean nothing, so a missed floor (exit 1 with a report) is no failure here.
set -euo pipefail
cd "${HY_ROOT:-$(dirname "$0")/../..}"
bench=${HY_BUILD:-build}/bin/hongyan-bench
for name in send sync coro counters tickets rpc http connections overload files; do
  code=0
  report=$("$bench" $name --quick --json) || code=$?
  REPORT=$report CODE=$code NAME=$name python3 - <<'PY'
import json, os
assert os.environ["CODE"] in ("0", "1"), os.environ["CODE"]
name = os.environ["NAME"]
report = json.loads(os.environ["REPORT"])
assert report["name"] == f"bench {name}" and report["command"] == f"./hongyan bench {name} --quick --json" and report["machine"]
assert report["rows"], "no rows"
for row in report["rows"]:
    assert set(row) == {"test", "unit", "ours", "peers", "ratios", "floor", "met"}, row
    assert isinstance(row["ours"], (int, float)) and row["ours"] >= 0 and row["unit"], row
    assert set(row["peers"]) == set(row["ratios"]), row
    assert (row["floor"] is None) == (row["met"] is None), row
floors = [row for row in report["rows"] if row["floor"]]
assert len(floors) >= {"coro": 0, "counters": 0, "tickets": 0, "http": 1, "connections": 1}.get(name, 2) and (os.environ["CODE"] == "0") == all(row["met"] for row in floors), floors
exact = [row for row in floors if row["unit"] in ("frames", "bytes")]  # Counts do not depend on the machine.
assert all(row["met"] for row in exact if row["unit"] == "frames"), exact
print(f"{name}: {len(report['rows'])} rows, {len(floors)} floors")
PY
done
if "$bench" send --nonsense >/dev/null 2>&1; then echo "an unknown option was accepted" >&2; exit 1; fi
echo "10 passed, 0 failed"

#!/usr/bin/env bash
# The gdb commands list coroutines and show their backtraces: of one that waits and of one that is parked.
set -euo pipefail
cd "${HY_ROOT:-$(dirname "$0")/../..}"
program=${HY_BUILD:-build}/tests/runtime_test
if ! command -v gdb >/dev/null || [ ! -x "$program" ] || [ "$(uname -m)" != x86_64 ]; then
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
out=$(gdb -nx -batch -ex "set debuginfod enabled off" -ex "break debugger_stops_here" \
  -ex "run --gtest_filter=Debug.a_debugger_finds_every_coroutine_and_its_name" \
  -ex "source tools/gdb/coroutines.py" -ex "coroutines" -ex "coroutine 1 bt" -ex "coroutine 2 bt" -ex "kill" \
  "$program" 2>&1) || { echo "$out" >&2; exit 1; }
has() { grep -qE "$1" <<<"$out" || { echo "missing: $1" >&2; echo "$out" >&2; exit 1; }; }
has '^ +1  waiting coroutine \(domain 0\) waits in debug test  '
has '^ +2  parked coroutine \(domain 0\) waits in debug test(, parked)?  '
has '^ +3  looking coroutine \(domain 0\) runs'
has '^3 coroutines$'
[ "$(grep -c 'wait_where_a_debugger_looks' <<<"$out")" -ge 4 ] || { echo "$out" >&2; exit 1; }  # Twice listed, twice in a backtrace.
echo "1 passed, 0 failed"

#!/usr/bin/env bash
# The simulator: a fixed set of seeds, seeds nobody has seen, replay to the byte, and every mutant must be caught. A failing
# seed is printed with what it violated; `./hongyan sim --seed N --trace` plays it again.
# timeout: 3600
set -u
sim=${HY_BUILD:-build}/bin/hongyan-sim
fixed=1..120 fresh_seconds=60 replays=1..6
if [ -n "${HY_LONG:-}" ]; then fixed=1..3000 fresh_seconds=900 replays=1..100; fi

passed=0 failed=0
part() {
  local name=$1
  shift
  echo "-- $name"
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
    tail -n "$shown" "$log"
  else
    failed=$((failed + 1))
    grep -v ' ok ' "$log" | tail -n 200
  fi
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

shown=1 part "seeds $fixed" "$sim" --seeds "$fixed"
shown=1 part "fresh seeds for $fresh_seconds s" "$sim" --fresh 1000000 --time-limit "$fresh_seconds"
shown=1 part "replay of seeds $replays" "$sim" --seeds "$replays" --twice
shown=20 part "mutants" "$sim" --mutants
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# The protocol of PaxosStore, deeper than a unit test may: every way of small worlds, two actions further, and 200,000 random
# schedules from seeds of their own. A failing seed is replayed with `paxos_explore seed SEED REPLICAS`.
# long
# timeout: 900
set -euo pipefail
"$HY_BUILD/tests/paxos_explore" ways 2
first=$(( ($(date +%s) % 100000) * 1000000 ))
echo "schedules from seed $first"
"$HY_BUILD/tests/paxos_explore" schedules "$first" 200000

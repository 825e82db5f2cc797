#!/usr/bin/env bash
# People in browsers against the real server: register, befriend, chat, groups, tabs, offline, kill -9, history, devices.
# timeout: 600
set -euo pipefail
cd "$(dirname "$0")/../.."
HY_ROOT=$PWD bash tools/verbs/web_build.sh
server=${HY_BUILD:-$PWD/build}/bin/hongyan-server
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
# The same port again after a kill -9, or the clients would look at a stranger's door.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
node clients/web/test/e2e.mjs --start "exec '$server' --data '$data' --port $port --web-root '$PWD/clients/web/dist'"

#!/usr/bin/env bash
# People in browsers against the real server: register, befriend, chat, groups, tabs, offline, kill -9, history, devices;
# and messages of kinds nobody knows from a long link through IndexedDB and a forward to a long link, byte for byte.
# timeout: 600
set -euo pipefail
cd "$(dirname "$0")/../.."
HY_ROOT=$PWD bash tools/verbs/web_build.sh
server=${HY_BUILD:-$PWD/build}/bin/hongyan-server
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
# Free ports, and the same ones again after a kill -9, or the clients would look at a stranger's door; below those that
# the kernel gives to outgoing connections, one of which could take the door of a server that is down.
read -r port long_link server_api < <(PYTHONPATH=tests/lib python3 -c '
import ports
print(*ports.free(3))')
export HONGYAN_LONG_LINK_PORT=$long_link HONGYAN_SERVER_API_PORT=$server_api
node clients/web/test/e2e.mjs --start "exec '$server' --data '$data' --port $port --web-root '$PWD/clients/web/dist'"

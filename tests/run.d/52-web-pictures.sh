#!/usr/bin/env bash
# The ten kept pictures of the web client, compared with a tolerance; no text is clipped in any of them.
# timeout: 300
set -euo pipefail
cd "$(dirname "$0")/../.."
HY_ROOT=$PWD bash tools/verbs/web_build.sh
node clients/web/test/shots.mjs --check

#!/usr/bin/env bash
# The web client's types and unit tests: store, sync, outbox, tabs, wire, and whole accounts against a mock server.
# timeout: 300
set -euo pipefail
cd "$(dirname "$0")/../.."
HY_ROOT=$PWD bash tools/verbs/web_build.sh
cd clients/web
npm run --silent check
npm run --silent test

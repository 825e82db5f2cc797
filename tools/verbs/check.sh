# Checks the rules of the source tree; needs nothing but python3.
set -euo pipefail
command -v python3 >/dev/null || bash "$HY_ROOT/tools/setup/setup.sh" ensure build
exec python3 "$HY_ROOT/tools/check/check.py" "$@"

# Installs what tests need, then hands over to the driver.
set -euo pipefail
. "$HY_ROOT/tools/verbs/lib.sh"
groups=(build test)
[ -f "$HY_ROOT/clients/web/package.json" ] && groups+=(web browser)
[ "${1:-}" = --help ] || setup "${groups[@]}"
exec python3 "$HY_ROOT/tools/verbs/test_driver.py" "$@"

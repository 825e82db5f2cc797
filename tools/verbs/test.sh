# Installs what the compiler needs and hands over to the driver, which gets the rest beside the build.
set -euo pipefail
. "$HY_ROOT/tools/verbs/lib.sh"
others=()
[ -f "$HY_ROOT/clients/web/package.json" ] && others=(web browser)
[ "${1:-}" = --help ] || setup_first "build test" "${others[@]}"
exec python3 "$HY_ROOT/tools/verbs/test_driver.py" "$@"

# Runs the program behind one of the verbs sim, bench, client, chat, rpc, counters, backup and restore; builds it first where it is C++.
set -euo pipefail
. "$HY_ROOT/tools/verbs/lib.sh"

verb=$1
shift
case $verb in
  sim) program=hongyan-sim words=() ;;
  bench) program=hongyan-bench words=() ;;
  rpc) program=hongyan-rpc words=() ;;
  counters) program=hongyan-counters words=() ;;
  client | chat)
    command -v python3 >/dev/null || setup build
    [ "$verb" = client ] || set -- chat "$@"
    exec python3 "$HY_ROOT/clients/terminal/hongyan_client" "$@" ;;
  backup | restore) program=hongyan-server words=("$verb") ;;
esac

case "$verb ${1:-}" in
  'bench rpc' | 'bench http') setup build bench ;;  # Beside peers from packages of their own.
  *) setup build ;;
esac
configure build -DCMAKE_BUILD_TYPE=RelWithDebInfo
if ! has_output build bin/$program; then
  echo "hongyan: '$verb' is not there yet ($program is not part of this build)" >&2
  exit 2
fi
build_quietly build bin/$program
exec "$HY_ROOT/build/bin/$program" "${words[@]}" "$@"

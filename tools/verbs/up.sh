# Builds what is needed and runs the server, in the foreground or detached. The server itself prints its URL and the
# line `ready {...}`; every option but --detach is the server's.
set -euo pipefail
. "$HY_ROOT/tools/verbs/lib.sh"

data=${HONGYAN_DATA:-$HY_ROOT/data} detach= help= processes=
unset HONGYAN_DATA  # It reaches the server as --data.
passed=()
while [ $# -gt 0 ]; do
  case $1 in
    --data)
      [ $# -ge 2 ] || { echo "hongyan: --data wants a directory" >&2; exit 2; }
      data=$2
      shift ;;
    --data=*) data=${1#--data=} ;;
    --detach) detach=1 ;;
    --processes) processes=1 ;;
    --help) help=1 ;;
    *) passed+=("$1") ;;
  esac
  shift
done
server=$HY_ROOT/build/bin/hongyan-server
# These are the terminal client's; the server refuses what it does not know.
unset HONGYAN_SERVER HONGYAN_PROFILE HONGYAN_PASSWORD HONGYAN_NEW_PASSWORD

if [ -n "$help" ]; then
  cat <<'TEXT'
usage: ./hongyan up [--data DIR] [--port P] [--listen ADDR] [--demo] [--tls-cert FILE --tls-key FILE] [--detach] ...
  --data DIR   where everything is kept; data/ in the checkout unless told
  --detach     return when the server is ready; './hongyan down' stops it
  --processes  every service as a process of its own, in the foreground (docs/processes.md); goes with --data, --config FILE
               and
    --workers N      logic and data services and presence are masters with N workers each
    --internal-tls   services speak TLS with each other, with certificates made at the first start, in DATA/internal-tls
All other options are the server's:
TEXT
  if [ -x "$server" ]; then
    "$server" --help || true
  else
    echo "  (build it first to see them: ./hongyan build)"
  fi
  exit 0
fi

web=$HY_ROOT/clients/web
if [ -f "$web/package.json" ]; then
  setup_first build web
  web_beside web
else
  setup build
fi
configure build -DCMAKE_BUILD_TYPE=RelWithDebInfo
if ! has_output build bin/hongyan-server; then
  echo "hongyan: the server is not there yet (hongyan-server is not part of this build)" >&2
  exit 2
fi
if [ -n "$processes" ]; then
  options=()
  set -- "${passed[@]}"
  while [ $# -gt 0 ]; do
    case $1 in
      --config | --workers)
        [ $# -ge 2 ] || { echo "hongyan: $1 wants a value" >&2; exit 2; }
        options+=("$1" "$2")
        shift ;;
      --config=* | --workers=* | --internal-tls) options+=("$1") ;;
      *) echo "hongyan: --processes goes with --data, --config, --workers and --internal-tls only; settings stand in the file" >&2
         exit 2 ;;
    esac
    shift
  done
  [ -z "$detach" ] || { echo "hongyan: --processes stays in the foreground" >&2; exit 2; }
  programs=(bin/hongyan-server)
  for name in account device contact inbox group presence login friend chat group-chat message-sync web-gate long-link \
    server-port store; do programs+=("bin/hongyan-$name"); done
  echo "hongyan: building every service; the first time takes a few minutes"
  build_quietly build "${programs[@]}"
  join_web
  [ ! -d "$web/dist" ] || export HONGYAN_WEB_ROOT=${HONGYAN_WEB_ROOT:-$web/dist}
  exec python3 "$HY_ROOT/tools/verbs/processes.py" "$data" "${options[@]}"
fi
[ -x "$server" ] || echo "hongyan: building the server; the first time takes a few minutes"
build_quietly build bin/hongyan-server
join_web
[ ! -d "$web/dist" ] || export HONGYAN_WEB_ROOT=${HONGYAN_WEB_ROOT:-$web/dist}

if [ -n "$detach" ]; then
  exec python3 "$HY_ROOT/tools/verbs/detach.py" "$data" "$server" --data "$data" "${passed[@]}"
fi
exec "$server" --data "$data" "${passed[@]}"

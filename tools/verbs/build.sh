# Builds the server and the client; with --all also tests, tools and every service's own executable.
set -euo pipefail
. "$HY_ROOT/tools/verbs/lib.sh"

usage() {
  cat <<'TEXT'
usage: ./hongyan build [--all] [--sanitize address|thread|undefined] [--check-locks] [--times [--fresh]] [TARGET...]
  --all         everything: tests, tools, one executable a service, and every header compiled alone
  --sanitize S  into build-asan (address looks for undefined behaviour too), build-tsan or build-ubsan
  --check-locks into build-locks: programs that stop when a coroutine waits while its thread holds an OS mutex
  --times       afterwards say the CPU minutes and the slowest files
  --fresh       with --times: from empty, without ccache
  TARGET        a target of the build (a room is one: store_engine, store_engine_test) or a file (bin/hongyan-server)
TEXT
}

dir=build all= times= fresh=
options=(-DCMAKE_BUILD_TYPE=RelWithDebInfo)
targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --all) all=1 ;;
    --times) times=1 ;;
    --fresh) fresh=1 ;;
    --sanitize)
      case ${2:-} in
        address) dir=build-asan ;;
        thread) dir=build-tsan ;;
        undefined) dir=build-ubsan ;;
        *) usage >&2; exit 2 ;;
      esac
      options+=("-DHONGYAN_SANITIZE=$2")
      shift ;;
    --check-locks)
      dir=build-locks
      options+=(-DHONGYAN_CHECK_LOCKS=ON) ;;
    --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) targets+=("$1") ;;
  esac
  shift
done

setup build
if [ -n "$fresh" ]; then
  rm -rf "${HY_ROOT:?}/$dir"
  export CCACHE_DISABLE=1
fi
configure $dir "${options[@]}"

if [ -n "$all" ]; then
  targets+=(all check_headers)
elif [ ${#targets[@]} = 0 ]; then
  for binary in bin/hongyan-server bin/hongyan-client; do
    has_output $dir $binary && targets+=($binary)
  done
  [ ${#targets[@]} = 0 ] && targets=(all)
fi

if [ -n "$times" ]; then
  exec python3 "$HY_ROOT/tools/verbs/build_times.py" "$HY_ROOT/$dir" "${targets[@]}"
fi
exec ninja -C "$HY_ROOT/$dir" "${targets[@]}"

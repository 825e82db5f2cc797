# Says what this machine lacks, for which verb, and the exact line that gets it. Exit 0 if `up` and `test` can run.
set -euo pipefail
setup=$HY_ROOT/tools/setup/setup.sh
if [ "${1:-}" = --help ]; then echo "usage: ./hongyan doctor"; exit 0; fi

web=()
browser=()
[ -f "$HY_ROOT/clients/web/package.json" ] && web=(web) && browser=(browser)
bad=0

report() {  # report "what for" needed|optional GROUP...
  local what=$1 kind=$2 packages
  shift 2
  packages=$(bash "$setup" missing "$@" | tr '\n' ' ')
  packages=${packages% }
  if [ -z "$packages" ]; then
    printf 'ok       %s\n' "$what"
    return
  fi
  [ "$kind" = needed ] && bad=1
  printf '%-8s %s lacks: %s\n' "$([ "$kind" = needed ] && echo MISSING || echo optional)" "$what" "$packages"
  printf '           sudo apt-get install -y --no-install-recommends %s\n' "$packages"
}

report "up, build" needed build "${web[@]}"
report "test" needed build test "${web[@]}" "${browser[@]}"
report "fmt" optional fmt
report "fuzz" optional fuzz
report "bench" optional bench
report "gdb" optional debug

cores=$(nproc)
memory=$(awk '/^MemAvailable/{print int($2 / 1048576)}' /proc/meminfo)
disk=$(df -Pk "$HY_ROOT" | awk 'NR == 2{print int($4 / 1048576)}')
printf 'ok       %s cores, %s GiB of memory free\n' "$cores" "$memory"
if [ "$disk" -lt 4 ]; then
  printf 'MISSING  disk: %s GiB free where the checkout is; the build needs 4\n' "$disk"
  bad=1
else
  printf 'ok       %s GiB of disk free\n' "$disk"
fi
if [ "$(uname -m)" != x86_64 ]; then
  printf 'note     %s: coroutines switch with Boost.Context here; x86-64 is what is tested\n' "$(uname -m)"
fi
if [ $bad = 1 ]; then
  echo "up, build and test install what is missing by themselves where they may (root or passwordless sudo)."
fi
exit $bad

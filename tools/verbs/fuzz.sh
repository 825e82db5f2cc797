# Builds the fuzz targets with clang and libFuzzer and runs them from their corpora.
set -euo pipefail
. "$HY_ROOT/tools/verbs/lib.sh"

usage() {
  cat <<'TEXT'
usage: ./hongyan fuzz [TARGET] [--seconds N] [--list]
  TARGET       the name of a *_fuzz.cc without its ending; all of them unless told
  --seconds N  for each target, 60 unless told
New inputs that reach new code are kept in build-fuzz/corpus/TARGET; inputs of worth go to tests/corpus/TARGET.
TEXT
}

target= seconds=60 list=
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=${2:-}; shift ;;
    --list) list=1 ;;
    --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) target=$1 ;;
  esac
  shift
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { usage >&2; exit 2; }

cd "$HY_ROOT"
mapfile -t targets < <(find src clients sim tests -name '*_fuzz.cc' -printf '%f\n' 2>/dev/null | sed 's/\.cc$//' | sort)
if [ -n "$list" ]; then
  printf '%s\n' "${targets[@]}"
  exit 0
fi
if [ -n "$target" ]; then
  if [[ " ${targets[*]} " != *" $target "* ]]; then
    echo "hongyan: no fuzz target '$target'; there are: ${targets[*]:-none yet}" >&2
    exit 2
  fi
  targets=("$target")
fi
if [ ${#targets[@]} = 0 ]; then
  echo "hongyan: no fuzz targets yet" >&2
  exit 2
fi

setup build
missing=$(bash tools/setup/setup.sh missing fuzz | tr '\n' ' ')
if [ -n "$missing" ]; then
  echo "hongyan: fuzz needs clang and libFuzzer; get them with" >&2
  echo "  sudo apt-get install -y --no-install-recommends $missing" >&2
  exit 2
fi
configure build-fuzz -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
  -DHONGYAN_FUZZ=ON -DHONGYAN_WERROR=OFF
build_quietly build-fuzz "${targets[@]}"

failed=0
for name in "${targets[@]}"; do
  mkdir -p build-fuzz/corpus/"$name" build-fuzz/crashes/"$name"
  corpora=(build-fuzz/corpus/"$name")
  [ -d tests/corpus/"$name" ] && corpora+=(tests/corpus/"$name")
  log=build-fuzz/crashes/$name/log
  if build-fuzz/fuzz/"$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix=build-fuzz/crashes/"$name"/ "${corpora[@]}" > "$log" 2>&1; then
    echo "ok      $name: $(awk '/number_of_executed_units/{print $2}' "$log") runs in $seconds s"
  else
    failed=1
    echo "FAILED  $name:"
    tail -n 40 "$log"
  fi
done
exit $failed

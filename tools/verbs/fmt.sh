# Formats the source with clang-format: [--check] only says which files differ; [FILE...] only these.
set -euo pipefail
check=
if [ "${1:-}" = --help ]; then echo "usage: ./hongyan fmt [--check] [FILE...]"; exit 0; fi
if [ "${1:-}" = --check ]; then check=1; shift; fi
if ! command -v clang-format >/dev/null; then
  echo "hongyan: fmt needs clang-format; get it with" >&2
  echo "  sudo apt-get install -y --no-install-recommends $(bash "$HY_ROOT/tools/setup/setup.sh" missing fmt | tr '\n' ' ')" >&2
  exit 2
fi
if [ $# -gt 0 ]; then
  files=("$@")
else
  cd "$HY_ROOT"
  mapfile -t files < <(git ls-files --cached --others --exclude-standard '*.h' '*.cc')
fi
if [ -n "$check" ]; then
  clang-format --dry-run --Werror "${files[@]}"
else
  clang-format -i "${files[@]}"
fi

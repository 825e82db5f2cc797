# Installs base, runtime and rpc with the generator and CMake's files, for services of other source trees.
set -euo pipefail
. "$HY_ROOT/tools/verbs/lib.sh"

if [ $# != 1 ] || [ "$1" = --help ]; then
  echo "usage: ./hongyan install PREFIX     (then -DCMAKE_PREFIX_PATH=PREFIX and find_package(Hongyan COMPONENTS runtime rpc))"
  [ "${1:-}" = --help ]
  exit
fi
prefix=$(realpath -m "$1")
setup build
configure build -DCMAKE_BUILD_TYPE=RelWithDebInfo
build_quietly build packages
cmake --install "$HY_ROOT/build" --prefix "$prefix" > "$HY_ROOT/build/install.log"
echo "installed in $prefix"

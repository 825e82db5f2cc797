# Prints the version: VERSION, and the commit where git knows it.
set -euo pipefail
version=$(cat "$HY_ROOT/VERSION")
commit=$(git -C "$HY_ROOT" describe --always --dirty --exclude '*' 2>/dev/null || true)
echo "hongyan $version${commit:+ ($commit)}"

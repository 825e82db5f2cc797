# Builds clients/web/dist when its sources are newer. Packages are installed from the lock file, their scripts never run.
set -euo pipefail
web=$HY_ROOT/clients/web
cd "$web"

stamp=node_modules/.hongyan-lock
lock=$(sha256sum package-lock.json)
if [ ! -f $stamp ] || [ "$(<$stamp)" != "$lock" ]; then
  echo "hongyan: installing the web client's packages"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=1 || {
    echo "hongyan: the web client's packages could not be installed (npm's reason is above)" >&2
    exit 1
  }
  echo "$lock" > $stamp
  rm -f dist/.built
fi

# Sources are the client's own files and the contract its wire code is generated from; what is generated is not.
changed() {
  [ -f dist/.built ] || return 0
  [ -n "$(find . ../../src/api/client ../../src/rpc/options.proto \
    \( -name node_modules -o -path ./dist -o -path ./src/wire/gen -o -path ./test \) -prune -o -type f -newer dist/.built -print -quit)" ]
}
if changed; then
  echo "hongyan: building the web client"
  npm run --silent build
  touch dist/.built
fi

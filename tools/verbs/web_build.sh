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
if [ ! -f dist/.built ] || [ -n "$(find . \( -name node_modules -o -name dist \) -prune -o -type f -newer dist/.built -print -quit)" ]; then
  echo "hongyan: building the web client"
  npm run --silent build
  mkdir -p dist
  touch dist/.built
fi

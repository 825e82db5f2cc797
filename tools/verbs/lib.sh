# Shared by the verbs that build. Sourced, never run.

setup() { bash "$HY_ROOT/tools/setup/setup.sh" ensure "$@"; }

# setup_first "GROUP..." OTHER...: packages of the first groups now. Those of the others too where they could not be
# installed later: whoever has to install them by hand is told all of it at once.
setup_first() {
  local first
  read -ra first <<< "$1"
  shift
  if [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; then
    setup "${first[@]}"
  else
    setup "${first[@]}" "$@"
  fi
}

# web_beside GROUP...: what the web client needs (its groups of packages, then `npm ci`) and the client itself, beside
# the compiler: fetching and unpacking mostly wait. Where packages can't be installed, setup says so for all groups at
# once, before anything is built. join_web waits for it; it is over at once where nothing has changed.
web_pid=
web_beside() {
  bash "$HY_ROOT/tools/verbs/web_beside.sh" "$@" &
  web_pid=$!
  trap '[ -z "$web_pid" ] || kill "$web_pid" 2>/dev/null' EXIT
}
# A machine that can't reach the package registry still gets its server, with the last web client that was built.
join_web() {
  [ -n "$web_pid" ] || return 0
  local code=0
  wait "$web_pid" || code=$?
  web_pid=
  [ $code = 2 ] && exit 2
  [ $code = 0 ] || echo "hongyan: going on without a new web client" >&2
}

# configure DIR [cmake options]: makes the build directory if it isn't there, or was made with other options. Later
# changes to the CMake files are noticed by ninja itself.
configure() {
  local dir=$HY_ROOT/$1
  shift
  local options="$*"
  if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/.options" 2>/dev/null)" != "$options" ]; then
    mkdir -p "$dir"
    if ! cmake -S "$HY_ROOT" -B "$dir" -G Ninja "$@" > "$dir/configure.log" 2>&1; then
      cat "$dir/configure.log" >&2
      echo "hongyan: cmake failed; its output is above" >&2
      exit 1
    fi
    echo "$options" > "$dir/.options"
  fi
}

# has_output DIR FILE: whether the build in DIR knows how to make FILE (a path inside DIR, or a target).
has_output() { ninja -C "$HY_ROOT/$1" -t query "$2" >/dev/null 2>&1; }

# build_quietly DIR TARGET...: ninja that shows one line of progress on a terminal, and its output only when it fails.
build_quietly() {
  local dir=$HY_ROOT/$1 line
  shift
  if [ -t 2 ]; then
    local width
    width=$(tput cols 2>/dev/null || echo 80)
    if ninja -C "$dir" "$@" 2>&1 | tee "$dir/ninja.out" | while IFS= read -r line; do
      case $line in \[*) printf '\r\033[K%.*s' $((width - 1)) "$line" >&2 ;; esac
    done; then
      printf '\r\033[K' >&2
      return
    fi
    printf '\n' >&2
  else
    ninja -C "$dir" "$@" > "$dir/ninja.out" 2>&1 && return
  fi
  tail -n 60 "$dir/ninja.out" >&2
  exit 1
}

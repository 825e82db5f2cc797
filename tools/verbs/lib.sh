# Shared by the verbs that build. Sourced, never run.

setup() { bash "$HONGYAN_ROOT/tools/setup/setup.sh" ensure "$@"; }

# configure DIR [cmake options]: makes the build directory if it isn't there, or was made with other options. Later
# changes to the CMake files are noticed by ninja itself.
configure() {
  local dir=$HONGYAN_ROOT/$1
  shift
  local options="$*"
  if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/.options" 2>/dev/null)" != "$options" ]; then
    mkdir -p "$dir"
    if ! cmake -S "$HONGYAN_ROOT" -B "$dir" -G Ninja "$@" > "$dir/configure.log" 2>&1; then
      cat "$dir/configure.log" >&2
      echo "hongyan: cmake failed; its output is above" >&2
      exit 1
    fi
    echo "$options" > "$dir/.options"
  fi
}

# has_output DIR FILE: whether the build in DIR knows how to make FILE (a path inside DIR, or a target).
has_output() { ninja -C "$HONGYAN_ROOT/$1" -t query "$2" >/dev/null 2>&1; }

# build_quietly DIR TARGET...: ninja with its progress line on a terminal; elsewhere it speaks only when something fails.
build_quietly() {
  local dir=$HONGYAN_ROOT/$1 log
  shift
  if [ -t 1 ]; then
    (cd "$dir" && ninja "$@") || exit 1
    return
  fi
  log=$dir/ninja.out
  ninja -C "$dir" "$@" > "$log" 2>&1 || { tail -n 60 "$log" >&2; exit 1; }
}

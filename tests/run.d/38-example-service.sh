#!/usr/bin/env bash
# Services of other source trees: base, runtime and rpc are installed into a prefix of their own; examples/word_count and
# a service that new-service has just made are copied away from this tree, built against the prefix alone, tested, and
# called with curl and `hongyan rpc`.
# timeout: 1200
set -u
build=$(realpath "${HY_BUILD:-build}")
root=$PWD
home=$(mktemp -d)
server=
trap '[ -n "$server" ] && kill "$server" 2>/dev/null; rm -rf "$home"' EXIT
passed=0 failed=0

part() {
  local name=$1
  shift
  if "$@" >"$home/log" 2>&1; then
    passed=$((passed + 1))
    echo "ok: $name"
  else
    failed=$((failed + 1))
    echo "FAILED: $name"
    tail -n 60 "$home/log"
  fi
}

says() { # says WANTED COMMAND...: its output, and whether WANTED is a part of it.
  local wanted=$1 out
  shift
  out=$("$@" 2>&1)
  echo "$out"
  [[ $out == *"$wanted"* ]]
}

refuses() { # refuses STATUS WANTED COMMAND...
  local status=$1 wanted=$2 out
  shift 2
  out=$("$@" 2>&1)
  local was=$?
  echo "$out (status $was)"
  [ $was = "$status" ] && [[ $out == *"$wanted"* ]]
}

installed() { cmake --install "$build" --prefix "$home/packages"; }

nothing_of_chat() { # Only what services need, and no path of this tree.
  [ "$(ls "$home/packages/include/hongyan" | tr '\n' ' ')" = 'base rpc runtime ' ] &&
    ! grep -rl "$root" "$home/packages/lib/cmake" "$home/packages/include"
}

builds() { # builds SOURCE: into SOURCE/build, with nothing but the prefix; then its own tests.
  cmake -S "$1" -B "$1/build" -G Ninja -DCMAKE_PREFIX_PATH="$home/packages" -DCMAKE_CXX_COMPILER_LAUNCHER="$(command -v ccache)" &&
    cmake --build "$1/build" -j 2 && ! grep -l "$root" "$1/build/compile_commands.json" "$1/build/build.ninja" &&
    ctest --test-dir "$1/build" --output-on-failure --no-tests=error
}

start() { # start PROGRAM: on a port of its own; its first line says which.
  address=
  mkfifo "$home/ready" && { "$1" 127.0.0.1:0 >"$home/ready" & } && server=$!
  read -r -t 20 _ address <"$home/ready"
  rm -f "$home/ready"
  [ -n "${address:-}" ]
}

stops() { # An orderly end.
  kill -TERM "$server" && wait "$server" && server=
}

post() { curl -sS -m 10 -H 'Content-Type: application/json' -d "$2" "http://$address/$1"; }

part 'the packages are installed' installed
part 'they hold nothing of chat and no path of the source tree' nothing_of_chat

cp -r examples/word_count "$home/word_count"
part 'the example builds against them and its tests pass' builds "$home/word_count"
part 'it starts' start "$home/word_count/build/word-count"
part 'curl calls it' says '{"words":2,"longest":"geese"}' post example.WordCount/Count '{"text": "wild geese"}'
part 'curl is told what is wrong' says '"code":5' post example.WordCount/Count '{"text": " "}'
rpc=$build/bin/hongyan-rpc
part 'rpc lists what it was not built with' says 'public, idempotent' "$rpc" "$address"
part 'and its fields' says 'text  ' "$rpc" "$address" Count --help
part 'and calls it' says '{"words":2,"longest":"geese"}' "$rpc" --timeout-ms 5000 --key 7 "$address" WordCount.Count '{"text": "wild geese"}'
part 'and says why a call failed' refuses 1 'no word' "$rpc" "$address" example.WordCount.Count
part 'and which methods there are' refuses 2 'example.WordCount.Count' "$rpc" "$address" WordCount.Sum
part 'and what a ticket is not' refuses 2 'usage' "$rpc" --ticket '***' "$address" Count
part 'it stops' stops
part 'rpc says that nobody answers' refuses 3 "$address" "$rpc" "$address"

part 'new-service makes one outside of the tree' ./hongyan new-service wild_goose --in "$home/new"
part 'it builds as it is and its tests pass' builds "$home/new/wild_goose"
part 'it starts' start "$home/new/wild_goose/build/wild-goose"
part 'it answers' says '{"text":"Hello, Ann"}' post wild_goose.WildGoose/Hello '{"name": "Ann"}'
part 'rpc calls it' says '{"text":"Hello, Ann"}' "$rpc" "$address" WildGoose.Hello '{"name": "Ann"}'
part 'it stops' stops
part 'new-service writes over nothing' refuses 2 'is there already' ./hongyan new-service wild_goose --in "$home/new"
for name in Goose wild-goose 'a/../b' class goose_ 1goose; do
  part "new-service refuses the name '$name'" refuses 2 "can't be the name" ./hongyan new-service "$name" --in "$home/new"
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

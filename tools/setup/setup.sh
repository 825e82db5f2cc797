#!/usr/bin/env bash
# What this machine needs, and getting it. Plain bash: it runs before anything else is installed.
#   setup.sh ensure GROUP...    installs what is missing of these groups, or prints the apt line and exits 2
#   setup.sh missing GROUP...   prints the missing packages, one a line
# Groups and packages: packages.txt. HY_SKIP_SETUP=1 skips all of it, for systems without apt.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
root=${HY_ROOT:-$(dirname "$(dirname "$here")")}
list=$here/packages.txt
dpkg_status=/var/lib/dpkg/status

trim() { local s=$1; s="${s#"${s%%[![:space:]]*}"}"; printf '%s' "${s%"${s##*[![:space:]]}"}"; }

# Prints the packages of the groups that are neither installed nor replaced by a command on the PATH. It reads dpkg's
# status file itself: starting apt would cost more than the rest of a start.
missing() {
  local wanted=" $* " group package command _ installed=" "
  if [ -r $dpkg_status ]; then
    installed=" $(awk '/^Package: /{p=$2} /^Status: .* installed$/{printf "%s ", p}' $dpkg_status)"
  fi
  while IFS='|' read -r group package command _; do
    [[ $group == \#* || -z $package ]] && continue
    group=$(trim "$group") package=$(trim "$package") command=$(trim "$command")
    [[ $wanted == *" $group "* ]] || continue
    [[ $installed == *" $package "* ]] && continue
    if [ "$command" != - ]; then
      command -v "$command" >/dev/null && continue
    elif [ ! -r $dpkg_status ]; then
      continue  # Not a Debian: libraries can't be looked up here; the build will name what it lacks.
    fi
    echo "$package"
  done < "$list"
}

# The state of the machine a stamp vouches for: nothing was installed or removed and the list is the same.
state() { stat -c '%n %Y %s' "$list" $dpkg_status 2>/dev/null || true; }

ensure() {
  [ "${HY_SKIP_SETUP:-}" = 1 ] && return 0
  local stamp="$root/.cache/setup/$(IFS=-; echo "$*")" now
  now="$(state) $PATH"
  [ -f "$stamp" ] && [ "$(<"$stamp")" = "$now" ] && return 0

  local packages
  packages=$(missing "$@" | tr '\n' ' ')
  packages=${packages% }
  if [ -n "$packages" ]; then
    local apt="apt-get install -y --no-install-recommends $packages"
    if ! command -v apt-get >/dev/null; then
      echo "hongyan: this machine lacks (Debian names): $packages" >&2
      echo "There is no apt-get here; install the equivalents, then set HY_SKIP_SETUP=1." >&2
      exit 2
    fi
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
      if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
      else
        echo "hongyan: this machine lacks: $packages" >&2
        echo "Neither root nor passwordless sudo is available. Please run:" >&2
        echo "  sudo $apt" >&2
        exit 2
      fi
    fi
    echo "hongyan: installing $packages"
    local log
    log=$(mktemp)
    if ! "${as_root[@]}" bash "$here/apt_install.sh" $packages >"$log" 2>&1; then
      tail -n 20 "$log" >&2
      echo "hongyan: apt-get failed (its last lines are above; all of it: $log). The line was:" >&2
      echo "  $apt" >&2
      exit 2
    fi
    rm -f "$log"
    packages=$(missing "$@" | tr '\n' ' ')
    if [ -n "$packages" ]; then
      echo "hongyan: still missing after installation: $packages" >&2
      exit 2
    fi
  fi
  mkdir -p "${stamp%/*}"
  echo "$(state) $PATH" > "$stamp"
}

verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in
  ensure) ensure "$@" ;;
  missing) missing "$@" ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac

#!/usr/bin/env bash
# Installs packages as root without questions, without recommendations and without starting any service.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

# None of our packages has a service; should one bring a dependency that does, policy-rc.d keeps it from starting.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' > $policy
  chmod 755 $policy
fi

install() { apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"; }

if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
  apt-get update
  install "$@"
else
  # A list from last month names versions that the mirror has dropped.
  install "$@" || { apt-get update && install "$@"; }
fi

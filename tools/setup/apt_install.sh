#!/usr/bin/env bash
# Installs packages as root without questions, without recommendations and without starting any service.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

# A package may bring a service (postgresql). policy-rc.d keeps it from starting now; what it has enabled is disabled
# again below, so it does not start with the machine either. Services that were there before are left as they are.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' > $policy
  chmod 755 $policy
fi

enabled() { find /etc/systemd/system -path '*.wants/*' -type l 2>/dev/null | sort -u; }  # The links that mean it.
# Names of /etc/init.d that some runlevel starts.
starting() { find /etc/rc[2-5].d -name 'S*' -printf '%f\n' 2>/dev/null | sed 's/^S[0-9]*//' | sort -u; }
enabled_before=$(enabled)
starting_before=$(starting)

install() { apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"; }

if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
  apt-get update
  install "$@"
else
  # A list from last month names versions that the mirror has dropped.
  install "$@" || { apt-get update && install "$@"; }
fi

for link in $(comm -13 <(echo "$enabled_before") <(enabled)); do
  rm "$link"
done
for name in $(comm -13 <(echo "$starting_before") <(starting)); do
  update-rc.d "$name" disable
done

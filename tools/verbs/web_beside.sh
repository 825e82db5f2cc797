# web_beside.sh GROUP...: installs packages of these groups and builds the web client. Exit 2: packages are missing.
set -euo pipefail
bash "$HY_ROOT/tools/setup/setup.sh" ensure "$@" || exit 2
bash "$HY_ROOT/tools/verbs/web_build.sh"

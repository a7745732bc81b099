#!/usr/bin/env bash
# Runs the motion benchmark, from nothing but Python 3.10 to 3.12:
#
#   projects/motion_benchmark/run.sh --scale {smoke,cpu,gpu} [options of run.py, see --help]
#
# Makes .venv in the checkout, the same as tools/quickstart.sh. A run that was interrupted goes on
# with the same command.
set -Eeuo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/environment.sh"

[ $# -gt 0 ] || set -- --help

step 'Python and uv'
find_python
find_uv
echo "    $("$PYTHON" --version) ($PYTHON), $("$UV" --version)"

choose_environment .venv requirements/core.txt
if environment_is_complete; then
    step "Packages: $ENVIRONMENT is complete"
else
    step "Packages: installing requirements/core.txt into $ENVIRONMENT"
    make_environment requirements/core.txt
    complete_environment
fi

step "Motion benchmark: $*"
cd "$ROOT"
trap - ERR
exec "$ENVIRONMENT/bin/python" projects/motion_benchmark/run.py "$@"

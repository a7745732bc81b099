#!/usr/bin/env bash
# Runs the motion benchmark, from nothing but Python 3.10 to 3.14:
#
#   projects/motion_benchmark/run.sh --scale {smoke,cpu,tokens,tokens_long,gpu} [options of run.py, see --help]
#
# Makes .venv in the checkout, the same as tools/quickstart.sh. A run that was interrupted goes on
# with the same command.
set -Eeuo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/environment.sh"

[ $# -gt 0 ] || set -- --help

provide_core_environment

step "Motion benchmark: $*"
cd "$ROOT"
trap - ERR
exec "$ENVIRONMENT/bin/python" projects/motion_benchmark/run.py "$@"

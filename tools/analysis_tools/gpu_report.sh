#!/usr/bin/env bash
# Everything that a GPU is wanted for, in one command: tools/analysis_tools/gpu_report.sh [--minutes 9] [--out DIR]
# See --help. Needs no network; --device cpu tries it at tiny sizes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
export PYTHONPATH="$root:$here${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONDONTWRITEBYTECODE=1 # nothing is written to the checkout
exec "${PYTHON:-python3}" -m gpu_report "$@"

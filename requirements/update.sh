#!/usr/bin/env bash
# Resolves the pinned requirements anew: core.txt for tools/quickstart.sh, tests.txt for
# run_tests.sh (which adds mmcv). What is pinned stays; --upgrade takes the newest. Needs uv; run it
# after changing a file *.in.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export UV_CUSTOM_COMPILE_COMMAND=requirements/update.sh
compile=(uv pip compile --universal --python-version 3.10 --no-annotate --quiet "$@"
         --constraints requirements/pins.in --overrides requirements/overrides.in
         requirements/runtime.in requirements/headless.in)
"${compile[@]}" requirements/lite.in --output-file requirements/core.txt
"${compile[@]}" requirements/detection.in requirements/export.in requirements/docs.in \
    requirements/decord.in requirements/tests.in --output-file requirements/tests.txt

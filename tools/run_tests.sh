#!/usr/bin/env bash
# Runs the tests: tools/run_tests.sh [pytest arguments], paths relative to the checkout.
#
# A process for each core, four at most, with 300 s for each test; `-n 0` for one process.
#
# Makes .venv-tests in the checkout with everything that is tested, mmaction2, mmdet and mmcv with
# its compiled ops included. mmcv is compiled once (about 12 minutes on two cores) and kept in
# ${XDG_CACHE_HOME:-~/.cache}/mmmae_st.
set -Eeuo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/mmmae_st

mmcv_ops_work() {
    "$ENVIRONMENT/bin/python" - <<'END'
import torch
from mmcv.ops import nms, roi_align

boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 4.1]])
assert len(nms(boxes, torch.tensor([0.5, 0.9]), 0.5)[1]) == 1
rois = torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]])
assert roi_align(torch.ones(1, 1, 8, 8), rois, (2, 2)).shape == (1, 1, 2, 2)
END
}

install_mmcv() {
    local key wheels source
    key=$("$ENVIRONMENT/bin/python" -c 'import platform, sys, torch
print(sys.argv[1].replace("==", "-"), "torch", torch.__version__, sys.implementation.cache_tag,
      platform.machine(), sep="-")' "$(<"$ROOT/requirements/mmcv.txt")")
    wheels=$CACHE/wheels/$key
    source=$CACHE/build/$key
    mkdir -p "$CACHE/wheels" "$CACHE/build"
    if command -v flock >/dev/null; then  # another checkout may be compiling the same
        exec 9>"$source.lock"
        flock 9
    fi
    if [ -d "$wheels" ]; then
        echo "    found compiled in $wheels"
        "$UV" pip install --quiet --python "$ENVIRONMENT/bin/python" --no-deps "$wheels"/*.whl
        if mmcv_ops_work; then
            return
        fi
        echo '    its ops do not work: compiling it again'
    fi
    compile_mmcv "$source" "$wheels"
    "$UV" pip install --quiet --python "$ENVIRONMENT/bin/python" --no-deps --reinstall \
        "$wheels"/*.whl
    mmcv_ops_work
}

# compile_mmcv SOURCE WHEELS: an interrupted compilation goes on where it was.
compile_mmcv() {
    local source=$1 wheels=$2 log=$1.log jobs most pip
    command -v c++ >/dev/null || fail 'compiling mmcv needs a C++ compiler: install g++'
    "$PYTHON" -c 'import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' ||
        fail "compiling mmcv needs Python.h for $PYTHON: install the headers (python3-dev)"
    # The CPU's ops, also where there is a GPU; no more compilers than there is memory for.
    jobs=$(env -u OMP_NUM_THREADS nproc)
    most=$(awk '/^MemAvailable/ { n = int($2 / 1500000); print (n > 1 ? n : 1) }' /proc/meminfo)
    jobs=$((most < jobs ? most : jobs))
    pip=(env MMCV_WITH_OPS=1 FORCE_CUDA=0 CUDA_VISIBLE_DEVICES= MAX_JOBS="$jobs"
        PATH="$ENVIRONMENT/bin:$PATH"
        "$ENVIRONMENT/bin/python" -m pip --disable-pip-version-check --no-cache-dir)

    if [ ! -e "$source/setup.py" ]; then
        rm -rf "$source" "$source.part"
        mkdir "$source.part"
        "${pip[@]}" download --quiet --no-deps --no-build-isolation --no-binary mmcv \
            --dest "$source.part" -r "$ROOT/requirements/mmcv.txt"
        mkdir "$source.part/unpacked"
        tar -xzf "$source.part"/mmcv-*.tar.gz -C "$source.part/unpacked" --strip-components=1
        mv "$source.part/unpacked" "$source"
        rm -rf "$source.part"
    fi
    echo "    compiling with $jobs processes, about 12 minutes on two cores; log: $log"
    : >"$log"
    show_progress "$log" &
    local progress=$!
    trap "kill $progress 2>/dev/null || true" EXIT
    rm -rf "$wheels" "$wheels.part"
    if ! "${pip[@]}" wheel --verbose --no-deps --no-build-isolation --wheel-dir "$wheels.part" \
        "$source" >>"$log" 2>&1; then
        tail -n 40 "$log" >&2
        fail "mmcv did not compile; the whole log is $log"
    fi
    kill "$progress"
    trap - EXIT
    mv "$wheels.part" "$wheels"
    rm -rf "$source" "$log"
}

# show_progress LOG: every half minute, how far ninja is.
show_progress() {
    local start=$SECONDS count
    while sleep 30; do
        count=$(grep -o '^ *\[[0-9]*/[0-9]*\]' "$1" | tail -n 1 | tr -d '[ ]') || true
        printf '    compiling mmcv: %s files after %d min %02d s\n' "${count:-0}" \
            $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60))
    done
}

find_tools

choose_environment .venv-tests requirements/tests.txt requirements/mmcv.txt
if environment_is_complete; then
    step "Packages: $ENVIRONMENT is complete"
else
    step "Packages: installing requirements/tests.txt into $ENVIRONMENT"
    make_environment requirements/tests.txt
    step 'Packages: mmcv with compiled ops'
    install_mmcv
    exec 9>&-
    complete_environment
fi
echo "    set-up took $SECONDS s"

step "pytest $*"
cd "$ROOT"
trap - ERR
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "$ENVIRONMENT/bin/python" -m pytest --timeout 300 \
    --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@"

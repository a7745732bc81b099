# Sourced by the scripts that need no set-up: says what is done and what failed, and makes a virtual
# environment with pinned packages by means of uv.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
UV_VERSION=0.13.9
STEP='starting'
unset PYTHONPATH PYTHONHOME
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}

step() {
    STEP=$1
    printf '==> %s\n' "$1"
}

fail() {
    printf '\nStopped at "%s": %s\n' "$STEP" "$1" >&2
    exit 1
}

stopped() {
    [ "$BASHPID" = "$$" ] || exit "$1"  # nested shells leave the message to the outer one
    printf '\nStopped at "%s" (%s).\nRun the same command again to go on: what is complete is kept.\n' \
        "$STEP" "$2" >&2
    exit "$1"
}
trap 'stopped $? "exit code $?, the cause is printed above"' ERR
trap 'stopped 130 interrupted' INT
trap 'stopped 143 terminated' TERM

# Sets PYTHON to an interpreter between 3.10 and 3.14, the one most tested first.
find_python() {
    local name found
    for name in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3.10 python3.14 python3 python; do
        found=$("$name" -c 'import sys
print(sys.executable if (3, 10) <= sys.version_info[:2] <= (3, 14) else "")' 2>/dev/null) || continue
        if [ -n "$found" ]; then
            PYTHON=$found
            return
        fi
    done
    fail 'no Python 3.10 to 3.14 found; install one, or name it: PYTHON=/path/to/python3.11'
}

# Sets UV. Where there is none, pip puts it into .uv in the checkout and changes nothing else.
find_uv() {
    if UV=$(command -v uv) && "$UV" --version >/dev/null 2>&1; then
        return
    fi
    UV=$ROOT/.uv/bin/uv
    if "$UV" --version >/dev/null 2>&1; then
        return
    fi
    "$PYTHON" -m pip --version >/dev/null 2>&1 ||
        fail "there is neither uv nor pip for $PYTHON; install one of them"
    echo "    uv is absent: pip installs it into $ROOT/.uv"
    rm -rf "$ROOT/.uv" "$ROOT/.uv.part"
    PIP_ROOT_USER_ACTION=ignore "$PYTHON" -m pip install --quiet --disable-pip-version-check \
        --target "$ROOT/.uv.part" "uv==$UV_VERSION"
    mv "$ROOT/.uv.part" "$ROOT/.uv"
}

# choose_environment FOLDER FILE...: sets ENVIRONMENT, and what marks it as complete: this Python,
# this checkout and the contents of these files. What is unfinished or outdated is made anew.
choose_environment() {
    ENVIRONMENT=$ROOT/$1
    MARK=$ENVIRONMENT/.mmmae_st
    shift
    COMPLETE=$(cd "$ROOT" && "$PYTHON" -c 'import hashlib, pathlib, sys
text = sys.version + "".join(sys.argv[1:]) + "".join(pathlib.Path(f).read_text() for f in sys.argv[2:])
print("complete", hashlib.sha256(text.encode()).hexdigest())' "$ROOT" "$@")
}

environment_is_complete() {
    [ "$(cat "$MARK" 2>/dev/null)" = "$COMPLETE" ] && "$ENVIRONMENT/bin/python" -c '' 2>/dev/null
}

# make_environment FILE: an empty environment, then the packages of the file exactly.
make_environment() {
    if [ -e "$ENVIRONMENT" ] && [ ! -e "$MARK" ]; then
        fail "$ENVIRONMENT was not made by this script; move it away, or remove it"
    fi
    mkdir -p "$ENVIRONMENT"
    echo unfinished >"$MARK"
    find "$ENVIRONMENT" -mindepth 1 ! -path "$MARK" -delete
    "$UV" venv --quiet --seed --allow-existing --python "$PYTHON" "$ENVIRONMENT"
    "$UV" pip install --python "$ENVIRONMENT/bin/python" --no-deps -r "$ROOT/$1" 2>&1 |
        { grep -v '^ [+] ' || true; }  # not a line for each package
}

# The checkout itself, importable and editable, and the mark that all is there.
complete_environment() {
    "$UV" pip install --quiet --python "$ENVIRONMENT/bin/python" --no-deps --no-build-isolation \
        --config-settings editable_mode=compat --editable "$ROOT"
    "$ENVIRONMENT/bin/python" -c 'import torch, torchvision, cv2, av, mmcv.transforms, mmmae_st'
    printf '%s\n' "$COMPLETE" >"$MARK"
}

# Sets PYTHON and UV, and says which.
find_tools() {
    step 'Python and uv'
    find_python
    find_uv
    echo "    $("$PYTHON" --version) ($PYTHON), $("$UV" --version)"
}

# The environment .venv for everything but mmaction2 and mmdet; seconds when it is there.
provide_core_environment() {
    find_tools
    choose_environment .venv requirements/core.txt
    if environment_is_complete; then
        step "Packages: $ENVIRONMENT is complete"
    else
        step "Packages: installing requirements/core.txt into $ENVIRONMENT"
        make_environment requirements/core.txt
        complete_environment
    fi
}

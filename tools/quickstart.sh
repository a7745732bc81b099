#!/usr/bin/env bash
# Pretrains a small masked autoencoder, from nothing but Python 3.10 to 3.14:
#
#   tools/quickstart.sh                    on clips that are generated on the spot
#   tools/quickstart.sh FOLDER_OF_VIDEOS   on the videos in a folder and below
#
# Makes .venv in the checkout; leaves a checkpoint, reconstruction.png and summary.json in
# work_dirs/quickstart. The packages are about 5 GB the first time; after that it takes seconds.
set -Eeuo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

usage() {
    sed -n 's/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

case "${1:-}" in
    -h | --help)
        usage
        exit 0
        ;;
    -*) fail "unknown option $1; the only argument is a folder of videos" ;;
esac
[ $# -le 1 ] || fail "one folder of videos at most, got $# arguments: $*"
videos=()
if [ $# = 1 ]; then
    [ -d "$1" ] || fail "$1 is not a folder"
    videos=("$(cd "$1" && pwd)")
fi

provide_core_environment
echo "    set-up took $SECONDS s"

cd "$ROOT"
STEP='pretraining'
"$ENVIRONMENT/bin/python" tools/quickstart.py "${videos[@]}"

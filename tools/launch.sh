# Sourced by the scripts that start train.py or test.py on several processes.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"

# usage NEEDED GIVEN TEXT: stop with the text unless so many arguments were given.
usage() {
    if [ "$2" -lt "$1" ]; then
        echo "usage: $3" >&2
        exit 2
    fi
}

# run_here GPUS PROGRAM [arguments]: on this machine, or as one of several nodes.
run_here() {
    local gpus=$1 program=$2
    shift 2
    exec "${PYTHON:-python}" -m torch.distributed.run \
        --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${PORT:-29500}" \
        --nproc_per_node="$gpus" \
        "$root/tools/$program" "$@"
}

# run_under_slurm PARTITION JOB_NAME SRUN_OPTION PROGRAM [arguments]
run_under_slurm() {
    local partition=$1 job=$2 option=$3 program=$4 gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8}
    shift 4
    [ "$gpus" -lt "$per_node" ] && per_node=$gpus
    # SRUN_ARGS holds several words on purpose.
    # shellcheck disable=SC2086
    exec srun -p "$partition" \
        --job-name="$job" \
        --gres="gpu:$per_node" \
        --ntasks="$gpus" \
        --ntasks-per-node="$per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-12}" \
        --kill-on-bad-exit=1 \
        ${option:+"$option"} \
        ${SRUN_ARGS:-} \
        "${PYTHON:-python}" -u "$root/tools/$program" "$@"
}

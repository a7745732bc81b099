#!/usr/bin/env bash
# Test under Slurm: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]
# GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (12) and SRUN_ARGS are taken from the environment.
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

usage 4 $# "[GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=12 SRUN_ARGS=...] $0 PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]"
run_under_slurm "$1" "$2" '' test.py "$3" "$4" --launcher slurm "${@:5}"

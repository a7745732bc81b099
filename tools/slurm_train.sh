#!/usr/bin/env bash
# Train under Slurm: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]
# GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (12) and SRUN_ARGS are taken from the environment.
# The job asks for SIGTERM two minutes before it ends, which saves a checkpoint; submit the same
# command with --resume to go on.
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

usage 3 $# "[GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=12 SRUN_ARGS=...] $0 PARTITION JOB_NAME CONFIG [arguments of train.py]"
run_under_slurm "$1" "$2" --signal=TERM@120 train.py "$3" --launcher slurm "${@:4}"

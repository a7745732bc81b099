#!/usr/bin/env bash
# Train on several processes: tools/dist_train.sh CONFIG GPUS [arguments of train.py]
# Several nodes: run it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
# Without a GPU the processes are CPU processes that talk through gloo.
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

usage 2 $# "[NNODES=1 NODE_RANK=0 MASTER_ADDR=127.0.0.1 PORT=29500] $0 CONFIG GPUS [arguments of train.py]"
run_here "$2" train.py "$1" --launcher pytorch "${@:3}"

#!/usr/bin/env bash
# Test on several processes: tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
# Several nodes: run it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
# Without a GPU the processes are CPU processes that talk through gloo.
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

usage 3 $# "[NNODES=1 NODE_RANK=0 MASTER_ADDR=127.0.0.1 PORT=29500] $0 CONFIG CHECKPOINT GPUS [arguments of test.py]"
run_here "$3" test.py "$1" "$2" --launcher pytorch "${@:4}"

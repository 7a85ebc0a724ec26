#!/usr/bin/env bash
# Processes.sh checks and times training in several processes, under every MPI that is installed (Debian: openmpi-bin,
# mpich), and prints a line of verdict for each check.
#
#   bench/processes.sh losses     1, 2 and 4 processes with one batch: the losses of ten steps of every method
#   bench/processes.sh wire       two hosts, which are network namespaces, with a wire of DELAY ms and MBIT between (root)
#   bench/processes.sh kills      KILLS kills of any process at any moment, each gone on from, to the same bits
#   bench/processes.sh overhead   two processes of one thread beside one of two, in turn, a ResNet-18 at batch 128
#
# What can be set stands at the top of processes.py. Exit code: 0 if all went well, 1 if a check failed.
set -eu
cd "$(dirname "$0")/.."
WORK=${WORK:-/tmp/processes}
mkdir -p "$WORK"
CGO_ENABLED=0 go build -tags native -o "$WORK/vicreg" ./cmd/vicreg
WORK=$WORK exec python3 bench/processes.py "$@"

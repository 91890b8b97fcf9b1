#!/usr/bin/env bash
# Everything that needs a GPU, in less than eight minutes: see the beginning of benchmarks/gpu.py.
set -eu
exec "${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/gpu.py" "$@"

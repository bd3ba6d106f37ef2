#!/usr/bin/env bash
# Sets up what is missing, then checks style, types and import rules and runs the tests.
#
#   scripts/test.sh [--quick] [PYTEST ARGUMENTS]
#
# --quick runs the tests that are neither slow nor start processes nor read real data (see [tool:pytest] in setup.cfg).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
selected=()
if [[ ${1:-} == --quick ]]; then
    shift
    selected=(-m "not slow and not subprocess and not real_data")
fi
source scripts/environment.sh --test

echo "ruff" && ruff check .
echo "mypy" && mypy
echo "lint-imports" && lint-imports --config setup.cfg
# a process a core, each with one thread; the tests of a file share what they train
export OMP_NUM_THREADS=1
echo "pytest" && python -m pytest --numprocesses logical --dist loadfile "${selected[@]}" "$@"

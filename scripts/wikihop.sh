#!/usr/bin/env bash
# WikiHop, from its files to its scores (tables 2, 3 and 10).
#
#   scripts/wikihop.sh --train train.json --dev dev.json \
#       --model student --out wikihop
#
# 32 questions an update, as in table 10. Options of yours count instead of these; --help lists all.
set -euo pipefail
set -- --dataset wikihop --max-tokens 8192 --stride 4096 --batch-size 2 --update-freq 16 --lr 5e-5 \
    --updates 6800 --padding-insertion "$@"
source "$(dirname "${BASH_SOURCE[0]}")/question_answering.sh"

#!/usr/bin/env bash
# KorQuAD 2.1, from its files to its scores (tables 4, 5 and 11).
#
#   scripts/korquad2.sh --train korquad2.1_train_*.json --dev korquad2.1_dev_*.json \
#       --model student --out korquad2
#
# The model needs tokens for HTML tags: littlebird-warm-start --html-tags. 80 questions an update, as in
# table 11 for the base model. For the large one: --max-tokens 8192 --lr 5e-5 --batch-size 2 --update-freq 72
# --updates 2900. Options of yours count instead of the settings here; --help lists all.
set -euo pipefail
set -- --dataset korquad2 --max-tokens 6144 --stride 4096 --batch-size 4 --update-freq 20 --lr 1e-4 \
    --updates 5200 --padding-insertion "$@"
source "$(dirname "${BASH_SOURCE[0]}")/question_answering.sh"

#!/usr/bin/env bash
# HotpotQA in the distractor setting, from its files to its scores (tables 2, 3 and 10).
#
#   scripts/hotpotqa.sh --train hotpot_train_v1.1.json --dev hotpot_dev_distractor_v1.json \
#       --model student --out hotpotqa
#
# 64 questions an update, as in table 10; no document is longer than the window. Options after these settings, as
# --batch-size 2 --update-freq 32 on a small device, count instead of them; --help lists all.
set -euo pipefail
set -- --dataset hotpotqa --max-tokens 4096 --stride 2048 --batch-size 4 --update-freq 16 --lr 5e-5 \
    --updates 7000 --padding-insertion "$@"
source "$(dirname "${BASH_SOURCE[0]}")/question_answering.sh"

#!/usr/bin/env bash
# Natural Questions, from its files to its scores (tables 2, 3 and 10).
#
#   scripts/natural_questions.sh --train train/nq-train-*.jsonl.gz --dev dev/nq-dev-*.jsonl.gz \
#       --model student --out natural_questions
#
# The model needs tokens for HTML tags: littlebird-warm-start --html-tags. 128 questions an update, as in
# table 10; the stride is that of appendix A.2. Options of yours count instead of these; --help lists all.
set -euo pipefail
set -- --dataset natural_questions --max-tokens 8192 --stride 4096 --batch-size 2 --update-freq 64 --lr 5e-5 \
    --updates 12000 --padding-insertion "$@"
source "$(dirname "${BASH_SOURCE[0]}")/question_answering.sh"

#!/usr/bin/env bash
# Classification of long documents, from labelled texts to scores.
#
#   scripts/classification.sh --train train.jsonl --dev dev.jsonl \
#       --model student --out classification --seeds 5
#
# The files are those of littlebird-prepare classification. What is longer than --max-tokens is cut at its end. The paper
# gives no batch and no rate for classification. Options of yours count instead of these; --help lists all, and
# -- --class-weights 8 or -- --criterion sentence_prediction go to fairseq-train.
set -euo pipefail
set -- --dataset classification --max-tokens 4096 --batch-size 8 --update-freq 4 --lr 5e-5 \
    --updates 5000 "$@"
source "$(dirname "${BASH_SOURCE[0]}")/question_answering.sh"

#!/usr/bin/env bash
# TriviaQA with Wikipedia's pages, from its files to its scores (tables 2, 3 and 10).
#
#   scripts/triviaqa.sh --train qa/wikipedia-train.json --dev qa/wikipedia-dev.json \
#       --model student --out triviaqa
#
# evidence/ lies beside qa/, as in the release triviaqa-rc.tar.gz. 128 questions an update, as in table 10, one at a
# time, as all windows of a question train together; -- --windows-per-question 4 draws so many of them where memory is
# short. The stride is that of appendix A.2. Options of yours count instead of these; --help lists all.
set -euo pipefail
set -- --dataset triviaqa --max-tokens 8192 --stride 4096 --batch-size 1 --update-freq 128 --lr 5e-5 \
    --updates 2400 --padding-insertion "$@"
source "$(dirname "${BASH_SOURCE[0]}")/question_answering.sh"

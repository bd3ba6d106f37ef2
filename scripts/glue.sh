#!/usr/bin/env bash
# The tasks of GLUE, from their TSV files to the leaderboard's figures (table 16 of the BigBird paper).
#
#   scripts/glue.sh --glue glue_data --model student --out glue
#
# --glue is a folder with CoLA/, SST-2/, … and their official files. Batches, rates and updates are those of fairseq's
# RoBERTa, which the paper took. Every step is printed before it runs; the same command again goes on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/run.sh

tasks=(CoLA SST-2 MRPC STS-B QQP MNLI QNLI RTE) chosen=() glue="" model="" student="" out="" dry="" seeds=1 workers=2
max_tokens=512 updates="" submission="" more=()
usage() {
    cat <<EOF
usage: scripts/glue.sh --glue DIR --model PATH --out DIR [--tasks NAME…] [--seeds N] [--student DIR] [--max-tokens N]
                       [--updates N] [--submission DIR] [--workers N] [--dry-run] [-- OPTIONS]
  --glue DIR        folder with a folder for each task, named as ${tasks[*]}
  --model PATH      what to start from: a folder of littlebird-warm-start, or a checkpoint
  --out DIR         where everything is written
  --tasks NAME…     those to train (default: all)
  --seeds N         trainings of each that differ in their seed; prints mean, deviation and median (default: $seeds)
  --student DIR     folder with dict.txt, the tokenizer's files and model.args (default: the model's)
  --max-tokens N    of a pair; the longer text is cut (default: $max_tokens)
  --updates N       of every training, a tenth of them warmup (default: those of each task)
  --submission DIR  also write the leaderboard's files of the test sets, by seed 1
  --workers N       processes that tokenize (default: $workers)
  --dry-run         print the commands and run none
  -- OPTIONS        for fairseq-train, as in: -- --fp16
EOF
}
fail() {
    echo "glue: $1" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h) usage && exit 0 ;;
        --dry-run) dry=yes && shift && continue ;;
        --) shift && more=("$@") && break ;;
        --*) [ $# -gt 1 ] && [[ $2 != --* ]] || fail "$1 needs a value; see --help" ;;
    esac
    case "$1" in
        --seeds | --max-tokens | --updates | --workers)
            [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 $2: not a positive whole number; see --help" ;;
    esac
    case "$1" in
        --tasks)
            shift
            while [ $# -gt 0 ] && [[ $1 != --* ]]; do
                [[ " ${tasks[*]} " == *" $1 "* ]] || fail "--tasks $1: no such task; known: ${tasks[*]}"
                chosen+=("$1")
                shift
            done
            continue ;;
        --glue) glue=$(given "$2") ;;
        --model) model=$(given "$2") ;;
        --student) student=$(given "$2") ;;
        --out) out=$(given "$2") ;;
        --seeds) seeds=$2 ;;
        --max-tokens) max_tokens=$2 ;;
        --updates) updates=$2 ;;
        --submission) submission=$(given "$2") ;;
        --workers) workers=$2 ;;
        *) fail "unknown argument $1; see --help" ;;
    esac
    shift 2
done
[ ${#chosen[@]} -gt 0 ] || chosen=("${tasks[@]}")
[ -n "$glue" ] || fail "--glue is missing: a folder with GLUE's tasks; see --help"
for name in "${chosen[@]}"; do
    [ -d "$glue/$name" ] || fail "$glue/$name: no such folder; choose others with --tasks"
done
[ -n "$model" ] || fail "--model is missing: a folder of littlebird-warm-start, or a checkpoint; see --help"
[ ! -d "$model" ] || model=$model/checkpoint.pt
[ -r "$model" ] || fail "$model: cannot be read; check --model"
student=${student:-$(dirname "$model")}
[ -r "$student/dict.txt" ] || fail "$student: no dict.txt there; give a folder of littlebird-warm-start with --student"
[ -n "$out" ] || fail "--out is missing: a folder to write; see --help"

if [ -z "$dry" ]; then
    step "Environment"
    set --
    source scripts/environment.sh
    lock "$out/.recipe"
fi
arch="--arch littlebird_base"
[ ! -e "$student/model.args" ] || arch=$(cat "$student/model.args")

# task -> rate, batch, updates, warmup, metric of fairseq's RoBERTa
settings_of() {
    case $1 in
        MNLI) echo 1e-5 32 123873 7432 accuracy ;;
        QNLI) echo 1e-5 32 33112 1986 accuracy ;;
        QQP) echo 1e-5 32 113272 28318 accuracy ;;
        SST-2) echo 1e-5 32 20935 1256 accuracy ;;
        CoLA) echo 1e-5 16 5336 320 mcc ;;
        MRPC) echo 1e-5 16 2296 137 f1 ;;
        STS-B) echo 2e-5 16 3598 214 spearman ;;
        RTE) echo 2e-5 16 2036 122 accuracy ;;
    esac
}

for name in "${chosen[@]}"; do # before any training
    settings="$(realpath "$glue/$name" "$model" "$student") $max_tokens $updates ${more[*]}"
    if [ -z "$dry" ]; then
        mkdir -p "$out/$name"
        [ ! -e "$out/$name/.recipe" ] || [ "$(cat "$out/$name/.recipe")" = "$settings" ] ||
            fail "$out/$name: from a run with other arguments; choose another folder with --out"
        printf '%s' "$settings" >"$out/$name/.recipe"
    fi
done

for name in "${chosen[@]}"; do
    at=$out/$name
    read -r rate batch count warmup metric <<<"$(settings_of "$name")"
    [ -z "$updates" ] || count=$updates warmup=$((updates / 10))
    splits=(valid)
    [ "$name" != MNLI ] || splits=(valid valid1)
    step "$name: prepare"
    make "$at/data" littlebird-prepare classification --format glue --name "$name" --glue-dir "$glue/$name" \
        --tokenizer "$student" --dict "$student/dict.txt" --max-tokens "$max_tokens" --workers "$workers" \
        --destdir "$at/data"
    for ((seed = 1; seed <= seeds; seed++)); do
        to=$at/seed-$seed
        [ -n "$dry" ] || mkdir -p "$to"
        step "$name: train, $count updates, seed $seed"
        # shellcheck disable=SC2086  # model.args is several words
        make "$to/trained/done" run_training "$count" fairseq-train "$at/data" --user-dir fairseq_littlebird $arch \
            --task littlebird_sentence_prediction --criterion littlebird_classification --finetune-from-model "$model" \
            --batch-size "$batch" --max-update "$count" --total-num-update "$count" --warmup-updates "$warmup" \
            --lr "$rate" --lr-scheduler polynomial_decay --optimizer adam --adam-betas '(0.9, 0.98)' --adam-eps 1e-6 \
            --weight-decay 0.1 --clip-norm 0.0 --num-workers 1 --seed "$seed" --ddp-backend legacy_ddp \
            --valid-subset valid --best-checkpoint-metric "$metric" --maximize-best-checkpoint-metric \
            --no-epoch-checkpoints --log-format simple --log-interval 50 --log-file "$to/trained.log" \
            --save-dir "$to/trained" "${more[@]}"
        [ -n "$dry" ] || touch "$to/trained/done"
        for split in "${splits[@]}"; do
            make "$to/$split" littlebird-predict "$at/data" --path "$to/trained/checkpoint_best.pt" \
                --gen-subset "$split" --output "$to/$split"
            scoring=(littlebird-evaluate --dataset glue --name "$name" --gold "$at/data/$split.gold.json"
                --predictions "$to/$split/predictions.json")
            run "${scoring[@]}"
            [ -n "$dry" ] || "${scoring[@]}" --json >"$to/$split.json"
        done
    done
    for split in "${splits[@]}"; do
        step "$name: scores of $seeds seeds on $split"
        scores=()
        for ((seed = 1; seed <= seeds; seed++)); do scores+=("$at/seed-$seed/$split.json"); done
        run python scripts/seed_scores.py "${scores[@]}"
    done
    [ -n "$submission" ] || continue
    step "$name: submission"
    tests=(test)
    [ "$name" != MNLI ] || tests=(test test1)
    for split in "${tests[@]}"; do
        [ -n "$dry" ] || [ "$(cat "$at/$split.submission" 2>/dev/null)" = "$submission" ] ||
            rm -rf "${at:?}/$split.submission" "${at:?}/$split" # for another folder, or interrupted before its file was written
        make "$at/$split.submission" littlebird-predict "$at/data" --path "$at/seed-1/trained/checkpoint_best.pt" \
            --gen-subset "$split" --output "$at/$split" --glue-submission "$submission"
        [ -n "$dry" ] || printf '%s' "$submission" >"$at/$split.submission"
    done
done

#!/usr/bin/env bash
# From a data set's own files to its scores: prepares, fine-tunes, answers and evaluates.
#
#   scripts/question_answering.sh --dataset NAME --train FILE… --dev FILE… --model PATH --out DIR
#
# scripts/hotpotqa.sh and the other recipes set the options that their data set wants and come here.
# Every step is printed before it runs and can be run by hand. The same command again goes on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/run.sh

name=${0##*/} name=${name%.sh} dataset="" train=() dev=() model="" student="" out="" dry="" more=()
max_tokens=4096 stride="" longest=() padding=() updates=5000 batch_size=4 update_freq=4 lr=5e-5 workers=2 seeds=1
names=() # of the package's data sets: each is a file that registers one
for file in fairseq_littlebird/datasets/*.py; do
    ! grep -q '^[A-Z].* = add_dataset($' "$file" || names+=("$(basename "$file" .py)")
done
names+=(classification)
usage() {
    local required="--dataset NAME " fixed gaps=with
    [ ${#padding[@]} -gt 0 ] || gaps=without
    fixed="
  --dataset NAME    one of ${names[*]}"
    [ "$name" = question_answering ] || required="" fixed="" # the recipe's own
    cat <<EOF
usage: scripts/$name.sh ${required}--train FILE… --dev FILE… --model PATH --out DIR [--student DIR]
           [--max-tokens N] [--stride N] [--updates N] [--batch-size N] [--update-freq N] [--lr RATE] [--workers N]
           [--max-answer-length N] [--padding-insertion] [--seeds N] [--dry-run] [-- OPTIONS]$fixed
  --train FILE…     to train on, as the data set's authors publish it
  --dev FILE…       to choose the best checkpoint by, and to score
  --model PATH      what to start from: a folder of littlebird-warm-start, or a checkpoint
  --student DIR     folder with dict.txt, the tokenizer's files and the model.args of littlebird-warm-start (default:
                    the model's; without model.args it is littlebird_base, and -- --arch NAME another)
  --out DIR         where everything is written
  --max-tokens N    tokens of a window (default: $max_tokens)
  --stride N        tokens from one window's start to the next one's (default: ${stride:-half of --max-tokens})
  --max-answer-length N
                    tokens of an answer at most (default: the data set's, or measured on the training answers)
  --padding-insertion, --no-padding-insertion   with gaps between positions in training, or without (default: $gaps)
  --updates N       of training (default: $updates)
  --batch-size N    questions that a device takes at a time (default: $batch_size)
  --update-freq N   such batches an update, on one device; on four devices give a quarter (default: $update_freq)
  --lr RATE         the highest learning rate (default: $lr)
  --workers N       processes that tokenize (default: $workers)
  --seeds N         trainings that differ in their seed, 1 to N; prints mean and deviation of their scores (default: 1)
  --dry-run         print the commands and run none
  -- OPTIONS        for fairseq-train, as in: -- --fp16 --checkpoint-activations
EOF
}
fail() {
    echo "$name: $1" >&2
    exit 2
}
arguments=$*
while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h) usage && exit 0 ;;
        --dry-run) dry=yes && shift && continue ;;
        --padding-insertion) padding=(--padding-insertion) && shift && continue ;;
        --no-padding-insertion) padding=() && shift && continue ;;
        --) shift && more=("$@") && break ;;
        --*) [ $# -gt 1 ] && [[ $2 != --* ]] || fail "$1 needs a value; see --help" ;;
    esac
    case "$1" in
        --max-tokens | --stride | --max-answer-length | --updates | --batch-size | --update-freq | --workers | --seeds)
            [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 $2: not a positive whole number; see --help" ;;
    esac
    case "$1" in
        --train | --dev) # all values up to the next option
            option=$1 && shift
            while [ $# -gt 0 ] && [[ $1 != --* ]]; do
                if [ "$option" = --train ]; then train+=("$(given "$1")"); else dev+=("$(given "$1")"); fi
                shift
            done
            continue ;;
        --dataset) dataset=$2 ;;
        --model) model=$(given "$2") ;;
        --student) student=$(given "$2") ;;
        --out) out=$(given "$2") ;;
        --max-tokens) max_tokens=$2 ;;
        --stride) stride=$2 ;;
        --max-answer-length) longest=("$1" "$2") ;;
        --updates) updates=$2 ;;
        --batch-size) batch_size=$2 ;;
        --update-freq) update_freq=$2 ;;
        --lr) lr=$2 ;;
        --workers) workers=$2 ;;
        --seeds) seeds=$2 ;;
        *) fail "unknown argument $1; see --help" ;;
    esac
    shift 2
done
[ -n "$dataset" ] || fail "--dataset is missing: the name of a data set; see --help"
[[ " ${names[*]} " == *" $dataset "* ]] || fail "--dataset $dataset: no such data set; known: ${names[*]}"
[ ${#train[@]} -gt 0 ] || fail "--train is missing: files to train on; see --help"
[ ${#dev[@]} -gt 0 ] || fail "--dev is missing: files to score; see --help"
for file in "${train[@]}" "${dev[@]}"; do
    [ -r "$file" ] || fail "$file: cannot be read; check the path"
    [ -f "$file" ] || [ -d "$file" ] || fail "$file: not a file; save what a pipe gives as one"
done
[ -n "$model" ] || fail "--model is missing: a folder of littlebird-warm-start, or a checkpoint; see --help"
[ ! -d "$model" ] || model=$model/checkpoint.pt
[ -r "$model" ] || fail "$model: cannot be read; check --model"
student=${student:-$(dirname "$model")}
[ -r "$student/dict.txt" ] || fail "$student: no dict.txt there; give a folder of littlebird-warm-start with --student"
case $dataset in
    natural_questions | korquad2)
        for tag in h1 h2 p table tr td th ul ol li; do
            grep -q "^<$tag> " "$student/dict.txt" ||
                fail "$student/dict.txt: lacks <$tag>; $dataset needs a model of littlebird-warm-start --html-tags"
        done ;;
    classification) ;;
    *) [ ${#dev[@]} -eq 1 ] || fail "${#dev[@]} --dev files; $dataset is scored on one" ;;
esac
[ -n "$out" ] || fail "--out is missing: a folder to write; see --help"
resumable "$out/.recipe" "$arguments"

if [ -z "$dry" ]; then
    step "Environment"
    set -- # a sourced script would take what is left of ours
    source scripts/environment.sh
    lock "$out/.recipe" "$arguments"
fi

if [ "$dataset" = classification ]; then
    prepare=(classification)
    task=(--task littlebird_sentence_prediction --criterion littlebird_classification)
    metric=macro_f1 gold=$out/data/valid.gold.json
else
    prepare=(qa --dataset "$dataset" --stride "${stride:-$((max_tokens / 2))}" "${longest[@]}")
    task=(--task question_answering --criterion question_answering --batch-size-valid 1)
    metric=f1 gold=${dev[0]}
    [ "$dataset" != wikihop ] || metric=exact_match # accuracy
fi
step "Prepare $dataset"
make "$out/data" littlebird-prepare "${prepare[@]}" --train "${train[@]}" --valid "${dev[@]}" --tokenizer "$student" \
    --dict "$student/dict.txt" --max-tokens "$max_tokens" --workers "$workers" --destdir "$out/data"

if [ ${#dev[@]} -gt 1 ] && [ "$dataset" != classification ]; then
    gold=$out/gold # one folder, as littlebird-evaluate reads several files
    run mkdir -p "$gold"
    for file in "${dev[@]}"; do run ln -sf "$(realpath "$file")" "$gold"; done
fi
if [ -z "$dry" ] && [ ! -e "$out/gold-checked" ]; then # the scorer reads the files now, not after days of training
    quiet littlebird-evaluate --dataset "$dataset" --gold "$gold"
    touch "$out/gold-checked"
fi

arch="--arch littlebird_base"
[ ! -e "$student/model.args" ] || arch=$(cat "$student/model.args")

# seed N: trains in $to, predicts and scores
one_seed() {
    local seed=$1 to=$2
    step "Train, $updates updates"
    # shellcheck disable=SC2086  # model.args is several words
    make "$to/trained/done" run_training "$updates" fairseq-train "$out/data" --user-dir fairseq_littlebird $arch \
        "${task[@]}" --finetune-from-model "$model" "${padding[@]}" --batch-size "$batch_size" \
        --update-freq "$update_freq" --max-update "$updates" --total-num-update "$updates" \
        --warmup-updates $((updates / 10)) --lr "$lr" --lr-scheduler polynomial_decay --optimizer adam \
        --adam-betas '(0.9, 0.98)' --adam-eps 1e-6 --weight-decay 0.01 --clip-norm 1.0 --num-workers 1 --seed "$seed" \
        --ddp-backend legacy_ddp --validate-interval 1000000 --validate-interval-updates 1000 \
        --best-checkpoint-metric "$metric" --maximize-best-checkpoint-metric --no-epoch-checkpoints \
        --save-interval-updates 1000 --keep-interval-updates 1 --log-format simple --log-interval 50 \
        --log-file "$to/trained.log" --save-dir "$to/trained" "${more[@]}"
    [ -n "$dry" ] || touch "$to/trained/done"

    step "Answer"
    make "$to/predictions" littlebird-predict "$out/data" --path "$to/trained/checkpoint_best.pt" --gen-subset valid \
        --output "$to/predictions"

    step "Scores"
    local scoring=(littlebird-evaluate --dataset "$dataset" --gold "$gold" --predictions "$to/predictions/predictions.json")
    run "${scoring[@]}"
    [ "$seeds" = 1 ] || [ -n "$dry" ] || "${scoring[@]}" --json >"$to/scores.json"
}

if [ "$seeds" = 1 ]; then
    one_seed 1 "$out"
else
    scores=()
    for ((seed = 1; seed <= seeds; seed++)); do
        [ -n "$dry" ] || mkdir -p "$out/seed-$seed"
        one_seed "$seed" "$out/seed-$seed"
        scores+=("$out/seed-$seed/scores.json")
    done
    step "Scores of $seeds seeds"
    run python scripts/seed_scores.py "${scores[@]}"
fi

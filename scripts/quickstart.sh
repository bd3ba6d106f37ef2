#!/usr/bin/env bash
# From nothing to answers about long pages: installs what is missing, pretrains a tiny LittleBird on 512 tokens,
# fine-tunes it on 512 tokens, and asks it about whole pages of up to 8K tokens.
#
#   scripts/quickstart.sh                                  Python's own documentation, nothing downloaded
#   scripts/quickstart.sh --data my.json --text my.txt     your questions (SQuAD format), your text
#   scripts/quickstart.sh --smoke                          every step with next to no training, in under two minutes
#   scripts/quickstart.sh --minutes 5                      as much training as fits
#
# Every step is printed before it runs and can be run by hand.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/run.sh

data=() text=() test=() join=() longest=() out=quickstart dataset=squad vocabulary=4000
rss_updates='' qa_updates='' minutes='' workers='' pages=()
usage() {
    cat <<EOF
usage: scripts/quickstart.sh [--data FILE --text FILE] [--test FILE] [--dataset NAME] [--join-articles] [--out DIR]
                             [--vocab-size N] [--rss-updates N] [--qa-updates N] [--minutes N] [--smoke] [--workers N]
                             [--max-answer-length N]
  --data FILE      questions in SQuAD format, split by article into train, dev and test; may be given several times
  --test FILE      questions to test on, instead of a part of --data
  --text FILE      UTF-8 text for pretraining: a paragraph a line, empty lines between documents; several times too
  --dataset NAME   squad (default) or korquad1: the format of --data and the metric
  --join-articles  test on whole articles, all their paragraphs joined; training windows come from them too
  --out DIR        where everything is written (default: quickstart); an earlier run there is replaced
  --vocab-size N   SentencePiece pieces (default: $vocabulary)
  --max-answer-length N   tokens of an answer at most (default: from the training answers, no fewer than 30)
  --rss-updates N, --qa-updates N   training updates (defaults: 500, 1300)
  --minutes N      choose the updates so that all ends N minutes after its start, by the speed of the first updates
  --smoke          10 updates each, fewer questions: does everything work?
  --workers N      processes that train together, with 1, 2, 4, 8 or 16 cores (default: 2, or 1 on one core and where
                   there is an accelerator)
EOF
}
fail() {
    echo "quickstart: $1" >&2
    exit 2
}
if [[ " $* " == *" --smoke "* ]]; then # wherever it stands, so that other options count instead of its settings
    rss_updates=10 qa_updates=10 pages=(--per-length 10 --editions 1)
fi
while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h) usage && exit 0 ;;
        --join-articles) join=(--join-articles) && shift && continue ;;
        --smoke) shift && continue ;;
        --*) [ $# -gt 1 ] || fail "$1 needs a value; see --help" ;;
    esac
    case "$1" in
        --data) data+=("$(given "$2")") ;;
        --test) test+=("$(given "$2")") ;;
        --text) text+=("$(given "$2")") ;;
        --dataset) dataset=$2 ;;
        --out) out=$(given "$2") ;;
        --max-answer-length)
            [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "--max-answer-length $2; give a positive number of tokens"
            longest=(--max-answer-length "$2")
            ;;
        --vocab-size) vocabulary=$2 ;;
        --rss-updates | --qa-updates | --minutes)
            [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 $2; give a positive number"
            case "$1" in
                --rss-updates) rss_updates=$2 ;;
                --qa-updates) qa_updates=$2 ;;
                --minutes) minutes=$2 ;;
            esac
            ;;
        --workers)
            [[ $2 =~ ^(1|2|4|8|16)$ ]] || fail "--workers $2; a batch of 16 sequences takes 1, 2, 4, 8 or 16"
            workers=$2
            ;;
        *) fail "unknown argument $1; see --help" ;;
    esac
    shift 2
done
[ -z "$minutes" ] || [ -z "$rss_updates$qa_updates" ] || fail "--minutes chooses the updates; leave the others out"
[ ${#data[@]} -eq 0 ] || [ ${#text[@]} -gt 0 ] || fail "--data needs --text too: a text to pretrain on"
[ ${#data[@]} -gt 0 ] || [ ${#text[@]} -eq 0 ] || fail "--text needs --data too: questions to fine-tune on"
for file in "${data[@]}" "${text[@]}" "${test[@]}"; do
    [ -r "$file" ] || fail "$file: cannot be read; check the path"
    [ -f "$file" ] || fail "$file: not a file; save what a pipe gives as one"
done
if [ -e "$out" ] && [ ! -e "$out/.quickstart" ] && [ -n "$(ls -A "$out")" ]; then
    fail "$out: not empty and not from an earlier quickstart; choose another with --out"
fi

# a tiny model gains next to nothing from a second thread, and loses most of its speed where that has to wait for other
# work on the cores (docs/performance.md): a second process does better in both
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
if [ -z "$workers" ]; then
    workers=1
    # nproc says OMP_NUM_THREADS where that is set
    [ "$(env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 1)" -lt 2 ] || nvidia-smi >/dev/null 2>&1 || workers=2
fi
lock "$out/.quickstart"
step "Environment"
source scripts/environment.sh
find "$out" -mindepth 1 -maxdepth 1 ! -name .quickstart -exec rm -rf {} +

step "Text and questions"
if [ ${#data[@]} -eq 0 ]; then
    run python scripts/pydoc_corpus.py "${pages[@]}" --out "$out/corpus"
else
    run python scripts/split_questions.py --data "${data[@]}" ${test[@]:+--test "${test[@]}"} --out "$out/corpus"
    cat "${text[@]}" >"$out/corpus/text.txt"
fi

step "Vocabulary"
run littlebird-prepare tokenizer --input "$out/corpus/text.txt" --vocab-size "$vocabulary" --destdir "$out/tokenizer"

# before the text, so that a fault in them shows now
step "Questions as numbers: windows of 512 tokens to train on, whole pages of up to 8K to answer"
run littlebird-prepare qa --dataset "$dataset" --train "$out/corpus/train.json" --valid "$out/corpus/dev.json" \
    --tokenizer "$out/tokenizer" --dict "$out/tokenizer/dict.txt" "${join[@]}" --max-tokens 512 --stride 128 --workers 2 \
    "${longest[@]}" --destdir "$out/qa-512"
run littlebird-prepare qa --dataset "$dataset" --test "$out/corpus/test.json" \
    --tokenizer "$out/tokenizer" --dict "$out/tokenizer/dict.txt" "${join[@]}" --max-tokens 8192 --stride 4096 --workers 2 \
    --destdir "$out/qa-8k"

step "Text as numbers"
run littlebird-prepare text --tokenizer "$out/tokenizer" --input "$out/corpus/text.txt" --output "$out/text.tok"
run fairseq-preprocess --only-source --srcdict "$out/tokenizer/dict.txt" --trainpref "$out/text.tok" \
    --destdir "$out/text-bin" --workers 2

# one command line for all trainings; the model is littlebird_tiny with a few options of its own
train() {
    local updates=$1 command=(fairseq-train --user-dir fairseq_littlebird)
    shift
    [ "$workers" -eq 1 ] || command=(torchrun --standalone --local-addr localhost --nproc-per-node "$workers"
        --no-python littlebird-launch)
    run_training "$updates" "${command[@]}" "$@" --max-update "$updates" --total-num-update "$updates" \
        --arch littlebird_tiny --padding-insertion --dropout 0 --attention-dropout 0 --optimizer adam \
        --adam-betas '(0.9, 0.98)' --clip-norm 1.0 --lr-scheduler polynomial_decay --batch-size $((16 / workers)) \
        --num-workers 1 --seed 1 --no-epoch-checkpoints --log-format simple
}

free_end=()                                               # Korean writes particles onto words
[ "$dataset" != korquad1 ] || free_end=(--free-end)
pretrain() {
    local updates=$1
    shift
    train "$updates" "$out/text-bin" --task recurring_span_selection --criterion recurring_span_selection \
        --tokens-per-sample 512 --sample-break-mode complete --shorten-method truncate --lr 4e-3 --warmup-updates 100 \
        --disable-validation "${free_end[@]}" "$@"
}

if [ -n "$minutes" ]; then
    step "Speed: the first updates of a training that is thrown away"
    pretrain 20 --no-save --log-interval 10 --log-file "$out/speed.log"
    chosen=$(python scripts/quickstart_updates.py "$out/speed.log" $((60 * minutes - SECONDS + started)) \
        --workers "$workers")
    read -r rss_updates qa_updates <<<"$chosen"
    echo "$minutes minutes: $rss_updates updates of pretraining, $qa_updates of fine-tuning"
fi
rss_updates=${rss_updates:-500} qa_updates=${qa_updates:-1300}

step "Pretraining: recurring span selection at 512 tokens, with padding insertion"
answers=$((80 * workers)) later=$((qa_updates * 6 / 5 + answers)) # in updates, see scripts/quickstart_updates.py
pretrain "$rss_updates" --log-interval 10 --log-file "$out/pretrained.log" --save-dir "$out/pretrained"

step "Fine-tuning: question answering at 512 tokens, with padding insertion"
later=$answers
train "$qa_updates" "$out/qa-512" --task question_answering --criterion question_answering --span-head qass \
    --unanswered-windows 0 --finetune-from-model "$out/pretrained/checkpoint_last.pt" --metric "$dataset" \
    --lr 4e-3 --warmup-updates 100 --log-interval 10 --log-file "$out/qa-model.log" \
    --validate-interval 1000 --max-valid-steps 5 --save-dir "$out/qa-model"

step "Answers"
run littlebird-predict "$out/qa-8k" --path "$out/qa-model/checkpoint_last.pt" --gen-subset test \
    --output "$out/predictions"
odds=() # questions without an answer are scored over all thresholds
if grep -q '"is_impossible": true' "$out/corpus/test.json"; then odds=(--null-odds "$out/predictions/null_odds.json"); fi
run littlebird-evaluate --dataset "$dataset" --gold "$out/corpus/test.json" \
    --predictions "$out/predictions/predictions.json" "${odds[@]}"
run python scripts/quickstart_report.py --prepared "$out/qa-8k" --predictions "$out/predictions"

step "Files"
cat <<EOF
  $out/corpus       text and questions
  $out/tokenizer    SentencePiece model and dict.txt
  $out/pretrained   checkpoint after recurring span selection
  $out/qa-model     question-answering checkpoint
  $out/predictions  predictions.json, nbest_predictions.json, null_odds.json
EOF

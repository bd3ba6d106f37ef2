#!/usr/bin/env bash
# Summaries of long documents, from JSON lines to summaries and their ROUGE.
#
#   scripts/summarization.sh --train train.jsonl --dev dev.jsonl --from MODEL --out summaries
#
# Without --from the model begins from nothing, with a vocabulary of the documents, which takes many more of them.
# A line is {"id": …, "document": …, "summary": …}. Every step is printed before it runs and can be run by hand. The
# same command again goes on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/run.sh

train=() dev=() source="" out="" to=littlebird_seq2seq dry=""
max_tokens=4096 max_summary_tokens=256 updates=10000 batch_size=4 update_freq=8 lr="" beam=5 ngram=3 penalty=1.0
vocabulary=16000 workers=2 more=()
usage() {
    cat <<EOF
usage: scripts/summarization.sh --train FILE --dev FILE --out DIR [--from MODEL] [--to NAME] [--max-tokens N]
                                [--max-summary-tokens N] [--vocab-size N] [--updates N] [--batch-size N]
                                [--update-freq N] [--lr RATE] [--beam N] [--length-penalty X]
                                [--no-repeat-ngram-size N] [--workers N] [--dry-run]
                                [-- OPTIONS]
  --train FILE      JSON lines, a table or a compressed one of them, see littlebird-prepare summarization --help; may be
                    given several times
  --dev FILE        the same, to choose the checkpoint on and to summarize
  --out DIR         where everything is written
  --from MODEL      pretrained model, as for littlebird-warm-start: BERT, RoBERTa, BART, LED, Pegasus, …; without it the
                    model begins from nothing
  --vocab-size N    without --from: tokens of the vocabulary, which the documents give (default: $vocabulary)
  --to NAME         littlebird_seq2seq (default), led, bigbird_roberta or bigbird_pegasus
  --max-tokens N    tokens of a document; what is longer is cut (default: $max_tokens)
  --max-summary-tokens N   tokens of a summary in training, and of one that is generated (default: $max_summary_tokens)
  --updates N, --batch-size N, --update-freq N, --lr RATE   of the training (defaults: $updates, $batch_size, $update_freq,
                    and 3e-5 with --from, 5e-4 without)
  --beam N, --length-penalty X, --no-repeat-ngram-size N   of littlebird-predict (defaults: $beam, $penalty, $ngram)
  --workers N       processes that tokenize (default: $workers)
  --dry-run         print the commands alone
  -- OPTIONS        for fairseq-train, as in: -- --fp16 --checkpoint-activations
EOF
}
fail() {
    echo "summarization: $1" >&2
    exit 2
}
arguments=$*
while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h) usage && exit 0 ;;
        --dry-run) dry=yes && shift && continue ;;
        --) shift && more=("$@") && break ;;
        --*) [ $# -gt 1 ] || fail "$1 needs a value; see --help" ;;
    esac
    case "$1" in
        --max-tokens | --vocab-size | --updates | --batch-size | --update-freq | --beam | --workers)
            [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 $2: not a positive whole number; see --help" ;;
        --max-summary-tokens) [[ $2 =~ ^[1-9][0-9]*$ && $2 -gt 1 ]] || fail "$1 $2: not a whole number from 2; see --help" ;;
        --no-repeat-ngram-size) [[ $2 =~ ^[0-9]+$ ]] || fail "$1 $2: not a whole number; see --help" ;;
    esac
    case "$1" in
        --train) train+=("$(given "$2")") ;;
        --dev) dev+=("$(given "$2")") ;;
        --from) source=$(given "$2") ;;
        --out) out=$(given "$2") ;;
        --to) to=$2 ;;
        --max-tokens) max_tokens=$2 ;;
        --vocab-size) vocabulary=$2 ;;
        --max-summary-tokens) max_summary_tokens=$2 ;;
        --updates) updates=$2 ;;
        --batch-size) batch_size=$2 ;;
        --update-freq) update_freq=$2 ;;
        --lr) lr=$2 ;;
        --beam) beam=$2 ;;
        --length-penalty) penalty=$2 ;;
        --no-repeat-ngram-size) ngram=$2 ;;
        --workers) workers=$2 ;;
        *) fail "unknown argument $1; see --help" ;;
    esac
    shift 2
done
[ ${#train[@]} -gt 0 ] || fail "--train is missing: documents and summaries to train on; see --help"
[ ${#dev[@]} -gt 0 ] || fail "--dev is missing: documents to summarize; see --help"
for file in "${train[@]}" "${dev[@]}"; do
    [ -f "$file" ] && [ -r "$file" ] || fail "$file: cannot be read; check the path"
done
[ -z "$source" ] || [ -e "$source" ] || fail "$source: not found; check --from"
[[ $to =~ ^(littlebird_seq2seq|led|bigbird_roberta|bigbird_pegasus)$ ]] || fail "--to $to: no such model; see --help"
[ -n "$out" ] || fail "--out is missing: a folder to write; see --help"
resumable "$out/.summarization" "$arguments"

if [ -z "$dry" ]; then
    step "Environment"
    set -- # a sourced script would take what is left of ours
    source scripts/environment.sh
    lock "$out/.summarization" "$arguments"
fi

positions=() begin=()
[ "$to" = littlebird_seq2seq ] || positions=(--max-positions "$max_tokens") # it has none
if [ -n "$source" ]; then
    step "Warm start"
    tokenizer=$out/start begin=(--finetune-from-model "$out/start/checkpoint.pt")
    make "$tokenizer" littlebird-warm-start --from "$source" --to "$to" "${positions[@]}" --out "$tokenizer"
else
    step "Vocabulary"
    tokenizer=$out/tokenizer
    make "$out/text.txt" python scripts/documents_text.py --input "${train[@]}" --out "$out/text.txt"
    make "$tokenizer" littlebird-prepare tokenizer --input "$out/text.txt" --vocab-size "$vocabulary" \
        --destdir "$tokenizer"
fi

step "Prepare"
make "$out/data" littlebird-prepare summarization --train "${train[@]}" --valid "${dev[@]}" --tokenizer "$tokenizer" \
    --dict "$tokenizer/dict.txt" --max-tokens "$max_tokens" --max-summary-tokens "$max_summary_tokens" \
    --workers "$workers" --destdir "$out/data"

step "Train, $updates updates"
arch="--arch ${to}_base" optimizer=adam insertion=()
if [ -z "$source" ]; then
    arch="$arch ${positions[*]}"
    # its two sides have one table of positions
    [ "$to" != bigbird_roberta ] || [ "$max_tokens" -ge 1024 ] || arch="$arch --decoder-max-positions $max_tokens"
elif [ -e "$out/start/model.args" ]; then
    arch=$(cat "$out/start/model.args")
fi
[ -n "$lr" ] || lr=$([ -n "$source" ] && echo 3e-5 || echo 5e-4)
[ "$to" != littlebird_seq2seq ] || optimizer=littlebird_adam insertion=(--padding-insertion)
# shellcheck disable=SC2086  # model.args is several words
make "$out/trained/done" run_training "$updates" fairseq-train "$out/data" --user-dir fairseq_littlebird $arch \
    --task summarization --criterion label_smoothed_cross_entropy --label-smoothing 0.1 \
    "${begin[@]}" "${insertion[@]}" --batch-size "$batch_size" \
    --update-freq "$update_freq" --max-update "$updates" --total-num-update "$updates" \
    --warmup-updates $((updates / 10)) --lr "$lr" --lr-scheduler polynomial_decay --optimizer "$optimizer" \
    --adam-betas '(0.9, 0.98)' --weight-decay 0.01 --clip-norm 1.0 --num-workers 1 --seed 1 --ddp-backend legacy_ddp \
    --validate-interval 1000000 --validate-interval-updates 1000 --best-checkpoint-metric rougeL \
    --maximize-best-checkpoint-metric --no-epoch-checkpoints --save-interval-updates 1000 --keep-interval-updates 1 \
    --log-format simple --log-interval 50 --log-file "$out/trained.log" --save-dir "$out/trained" "${more[@]}"
[ -n "$dry" ] || touch "$out/trained/done"

step "Summarize"
make "$out/summaries" littlebird-predict "$out/data" --path "$out/trained/checkpoint_best.pt" --gen-subset valid \
    --beam "$beam" --length-penalty "$penalty" --no-repeat-ngram-size "$ngram" \
    --max-length $((max_summary_tokens - 1)) --output "$out/summaries"

step "Scores"
run littlebird-evaluate --dataset rouge --gold "$out/data/valid.gold.jsonl" --stemmer --split-sentences \
    --predictions "$out/summaries/predictions.jsonl"

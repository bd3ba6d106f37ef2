#!/usr/bin/env bash
# From a pretrained model that reads 512 tokens, or a ModernBERT that reads 8,192, to a LittleBird for longer inputs: the
# three steps of section 3.4 of the paper.
#
#   scripts/reuse.sh --from SOURCE --text train.txt [--valid valid.txt] --out DIR
#
#   1. warm start: the teacher, which is the source, and the student, a LittleBird with its weights
#   2. distillation at 512 tokens; then recurring span selection there, if step 3 goes on with it
#   3. longer inputs, without the teacher
#
# For pairs of short texts take littlebird-warm-start --positions learned instead (docs/tasks/classification.md).
#
# Every step is printed before it runs and can be run by hand. The same command again goes on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/run.sh

source="" text=() valid="" out="" student=() objective=rss padding=() short=512 lengths=2048,4096
head_updates=0 distil_updates=1000 rss_updates=1000 longer_updates=500 batch_tokens=8192 lr=1e-4 workers=2 more=()
usage() {
    cat <<EOF
usage: scripts/reuse.sh --from SOURCE --text FILE --out DIR [--valid FILE] [--pack-size N] [--block-size N] [--layers N]
                        [--objective rss|mlm] [--lengths N,N] [--short-length N] [--padding-insertion]
                        [--head-updates N] [--distil-updates N] [--rss-updates N] [--longer-updates N]
                        [--batch-tokens N] [--lr RATE] [--workers N] [-- OPTIONS]
  --from SOURCE     Hugging Face folder of BERT, RoBERTa, XLM-R, ELECTRA, ModernBERT or mmBERT, or fairseq's RoBERTa
  --text FILE       UTF-8 text: a paragraph a line, empty lines between documents, as scripts/text_corpus.py writes
                    it; may be given several times
  --valid FILE      the same, to measure the outcome of each training on
  --out DIR         where everything is written
  --pack-size N, --block-size N, --layers N   of the student (default: 64, 64, all layers of the source)
  --objective NAME  rss (default): recurring span selection; mlm: masked language modelling
  --lengths N,N     tokens of step 3's inputs, one training after the other (default: $lengths)
  --short-length N  tokens of step 2's inputs, as many as the source can read (default: $short)
  --padding-insertion   train with gaps between positions, as the paper does, which cost accuracy in docs/results.md
  --head-updates N  if the source lacks a masked-language-model head: train one first, and distil its predictions;
                    by default the student learns the source's hidden states instead
  --distil-updates N, --rss-updates N   of step 2; 0 leaves that part out (defaults: $distil_updates, $rss_updates)
  --longer-updates N   at each length of step 3; 0 leaves it out (default: $longer_updates)
  --batch-tokens N  tokens a batch, but one input at least (default: $batch_tokens)
  --lr RATE         the highest of each training (default: $lr)
  --workers N       processes that tokenize (default: $workers)
  -- OPTIONS        for every fairseq-train, as in: -- --fp16 --fp16-no-flatten-grads --update-freq 4
For pairs of short texts take littlebird-warm-start --positions learned instead: slopes have to learn to compare anew.
EOF
}
fail() {
    echo "reuse: $1" >&2
    exit 2
}
arguments=$*
while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h) usage && exit 0 ;;
        --padding-insertion) padding=(--padding-insertion) && shift && continue ;;
        --no-padding-insertion) padding=() && shift && continue ;;
        --) shift && more=("$@") && break ;;
        --*) [ $# -gt 1 ] || fail "$1 needs a value; see --help" ;;
    esac
    case "$1" in
        --*-updates | --batch-tokens | --short-length | --workers)
            [[ $2 =~ ^[0-9]+$ ]] || fail "$1 $2: not a whole number; see --help" ;;
    esac
    case "$1" in
        --from) source=$(given "$2") ;;
        --text) text+=("$(given "$2")") ;;
        --valid) valid=$(given "$2") ;;
        --out) out=$(given "$2") ;;
        --pack-size | --block-size | --layers) student+=("$1" "$2") ;;
        --objective) objective=$2 ;;
        --lengths) lengths=$2 ;;
        --short-length) short=$2 ;;
        --head-updates) head_updates=$2 ;;
        --distil-updates) distil_updates=$2 ;;
        --rss-updates) rss_updates=$2 ;;
        --longer-updates) longer_updates=$2 ;;
        --batch-tokens) batch_tokens=$2 ;;
        --lr) lr=$2 ;;
        --workers) workers=$2 ;;
        *) fail "unknown argument $1; see --help" ;;
    esac
    shift 2
done
[ -n "$source" ] || fail "--from is missing: a pretrained model; see --help"
[ -e "$source" ] || fail "$source: not found; check --from"
[ ${#text[@]} -gt 0 ] || fail "--text is missing: text to train on; see --help"
for file in "${text[@]}" ${valid:+"$valid"}; do
    [ -f "$file" ] && [ -r "$file" ] || fail "$file: cannot be read; check the path"
done
[ -n "$out" ] || fail "--out is missing: a folder to write; see --help"
[[ $objective =~ ^(rss|mlm)$ ]] || fail "--objective $objective: give rss or mlm"
[[ $lengths =~ ^[1-9][0-9]*(,[1-9][0-9]*)*$ ]] || fail "--lengths $lengths: give numbers, as 2048,4096"
[ "$short" -gt 1 ] || fail "--short-length $short: give 2 or more"
[ "$longer_updates" -gt 0 ] || lengths=
[ "$objective" = rss ] || rss_updates=0
[ $((distil_updates + rss_updates + longer_updates)) -gt 0 ] || fail "all updates are 0: nothing to train; see --help"
resumable "$out/.reuse" "$arguments"

step "Environment"
set -- # a sourced script would take what is left of ours
source scripts/environment.sh
lock "$out/.reuse" "$arguments"

step "Step 1: warm start of the teacher"
make "$out/teacher" littlebird-warm-start --from "$source" --to full --out "$out/teacher"

step "Text as numbers"
make "$out/train.symbols" littlebird-prepare text --tokenizer "$out/teacher" --input "${text[@]}" \
    --output "$out/train.symbols" --workers "$workers"
splits=(--trainpref "$out/train.symbols")
if [ -n "$valid" ]; then
    make "$out/valid.symbols" littlebird-prepare text --tokenizer "$out/teacher" --input "$valid" \
        --output "$out/valid.symbols" --workers "$workers"
    splits+=(--validpref "$out/valid.symbols")
fi
make "$out/text-bin/done" fairseq-preprocess --only-source --srcdict "$out/teacher/dict.txt" "${splits[@]}" \
    --destdir "$out/text-bin" --workers "$workers"
# dict.txt of a byte-level BPE may hold numbers, whose meaning is in encoder.json
[ ! -e "$out/teacher/encoder.json" ] || cp "$out/teacher/encoder.json" "$out/text-bin"
touch "$out/text-bin/done"

# train NAME FOLDER START LENGTH UPDATES OPTION…: the model of FOLDER/model.args from START, saved in NAME
train() {
    local name=$1 model=$2 start=$3 length=$4 updates=$5 measure=(--disable-validation) optimizer
    local batch=$((batch_tokens > length ? batch_tokens / length : 1))
    case $start in # slopes learn faster; right after the warm start they have the longest way to go
        "$out/teacher/checkpoint.pt") optimizer=(adam) ;;
        "$out/student/checkpoint.pt") optimizer=(littlebird_adam) ;;
        *) optimizer=(littlebird_adam --slopes-lr-scale 20) ;;
    esac
    [ -z "$valid" ] || measure=(--validate-interval 1000000) # not after each epoch
    # shellcheck disable=SC2046  # model.args is several words
    make "$out/$name/done" run_training "$updates" fairseq-train "$out/text-bin" --user-dir fairseq_littlebird \
        $(cat "$model/model.args") --finetune-from-model "$start" --tokens-per-sample "$length" --batch-size "$batch" \
        --required-batch-size-multiple 1 --max-update "$updates" --total-num-update "$updates" \
        --warmup-updates $((updates / 10)) --lr "$lr" --lr-scheduler polynomial_decay \
        --optimizer "${optimizer[@]}" --adam-betas '(0.9, 0.98)' --clip-norm 1.0 --num-workers 1 --seed 1 \
        "${measure[@]}" --no-epoch-checkpoints --save-interval-updates 1000 --keep-interval-updates 1 \
        --log-format simple --log-interval 50 --log-file "$out/$name.log" --save-dir "$out/$name" \
        "${@:6}" "${more[@]}"
    touch "$out/$name/done"
}
words=(--task littlebird_masked_lm)
spans=(--task recurring_span_selection --criterion recurring_span_selection --sample-break-mode complete
    --shorten-method truncate)

has_head() {
    python -c 'import sys, torch; sys.exit("lm_head.bias" not in torch.load(sys.argv[1], weights_only=True)["model"])' "$1"
}
teacher=$out/teacher/checkpoint.pt trained=() learned=() figures="loss|soft_loss|hard_loss|attention_loss|accuracy"
if [ "$distil_updates" -gt 0 ] && ! has_head "$teacher"; then
    if [ "$head_updates" -gt 0 ]; then
        step "The source lacks a masked-language-model head: training one"
        train head "$out/teacher" "$teacher" "$short" "$head_updates" "${words[@]}" --criterion masked_lm
        teacher=$out/head/checkpoint_last.pt trained+=(head)
        for file in "$out"/teacher/*; do # its dictionary and tokenizer, for the student
            case ${file##*/} in checkpoint.pt | model.args | README.md) ;; *) cp "$file" "$out/head" ;; esac
        done
    else
        learned=(--soft-weight 0 --hidden-weight 5) figures="loss|hidden_loss|attention_loss|accuracy"
    fi
fi

step "Step 1: warm start of the student"
make "$out/student" littlebird-warm-start --from "$teacher" --out "$out/student" "${student[@]}"
last=$out/student/checkpoint.pt

if [ "$distil_updates" -gt 0 ]; then
    step "Step 2: distillation at $short tokens"
    train distilled "$out/student" "$last" "$short" "$distil_updates" "${words[@]}" "${padding[@]}" \
        --criterion littlebird_distillation --teacher-path "$teacher" "${learned[@]}"
    last=$out/distilled/checkpoint_last.pt trained+=(distilled)
fi
if [ "$objective" = mlm ]; then
    longer=("${words[@]}" --criterion masked_lm)
else
    longer=("${spans[@]}")
    if [ "$rss_updates" -gt 0 ]; then
        step "Step 2: recurring span selection at $short tokens"
        train "rss-$short" "$out/student" "$last" "$short" "$rss_updates" "${spans[@]}" "${padding[@]}"
        last=$out/rss-$short/checkpoint_last.pt trained+=("rss-$short")
    fi
fi
for length in ${lengths//,/ }; do
    step "Step 3: $length tokens"
    train "$objective-$length" "$out/student" "$last" "$length" "$longer_updates" "${longer[@]}" "${padding[@]}"
    last=$out/$objective-$length/checkpoint_last.pt trained+=("$objective-$length")
done

if [ -n "$valid" ]; then
    step "On $valid, in bits where it is a loss, in percent where it is an accuracy"
    for name in "${trained[@]}"; do
        found=$(grep "valid on 'valid' subset" "$out/$name.log" | tail -n 1 | tr '|' '\n' |
            grep -E "^ ($figures) " | paste -sd , || true)
        printf '  %-12s%s\n' "$name" "$found"
    done
fi
step "Files"
cat <<EOF
  $last
                    the model; goes on with: fairseq-train … \$(cat $out/student/model.args) --finetune-from-model …
  $out/student      model.args, dict.txt and the tokenizer; README.md says what became of the source's weights
  $out/text-bin     the text as numbers
EOF

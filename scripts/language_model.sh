#!/usr/bin/env bash
# A character or byte language model, trained in phases: windows and texts grow, the learning rate falls.
#
#   scripts/language_model.sh --train train.txt --valid valid.txt --test test.txt \
#       --phases configs/language_model/two_cores.yaml --out language-model
#
# Each phase begins with the weights of the one before; other windows mean no other parameters. Every step is printed
# before it runs and can be run by hand. The same command again goes on where it stopped, also inside of a phase; phases
# may be added to the file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/run.sh

train=() valid=() test=() phases="" out="" dry="" unit=() workers=2 processes=1 length=32256 stride=512 cached=()
save_every=1000 more=()
usage() {
    cat <<EOF
usage: scripts/language_model.sh --train FILE… --valid FILE… [--test FILE…] --phases FILE --out DIR [--bytes]
           [--processes N] [--save-every N] [--score-length N] [--stride N] [--cached] [--workers N] [--dry-run]
           [-- OPTIONS]
  --train FILE…     text to train on, plain or compressed
  --valid FILE…     text to validate on
  --test FILE…      text to score (default: that of --valid)
  --phases FILE     YAML, see configs/language_model
  --out DIR         where everything is written
  --bytes           a token a byte, not a character
  --processes N     that train together, of this machine; each takes the batch size of the phases (default: $processes)
  --save-every N    updates from one checkpoint to the next (default: $save_every)
  --score-length N, --stride N   of littlebird-score: tokens of a window, and from one to the next (defaults: $length,
                    $stride, the paper's)
  --cached          score each token once, with the keys of those before it kept: other figures than the paper's, soon
  --workers N       processes that read the text (default: $workers)
  --dry-run         print the commands and run none
  -- OPTIONS        for fairseq-train in every phase, as in: -- --fp16 --checkpoint-activations
EOF
}
fail() {
    echo "language_model: $1" >&2
    exit 2
}
arguments=$*
while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h) usage && exit 0 ;;
        --dry-run) dry=yes && shift && continue ;;
        --bytes) unit=(--bytes) && shift && continue ;;
        --cached) cached=(--cached) && shift && continue ;;
        --) shift && more=("$@") && break ;;
        --*) [ $# -gt 1 ] && [[ $2 != --* ]] || fail "$1 needs a value; see --help" ;;
    esac
    case "$1" in
        --processes | --save-every | --score-length | --stride | --workers)
            [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 $2: not a positive whole number; see --help" ;;
    esac
    case "$1" in
        --train | --valid | --test) # all values up to the next option
            option=$1 && shift
            while [ $# -gt 0 ] && [[ $1 != --* ]]; do
                case $option in
                    --train) train+=("$(given "$1")") ;;
                    --valid) valid+=("$(given "$1")") ;;
                    --test) test+=("$(given "$1")") ;;
                esac
                shift
            done
            continue ;;
        --phases) phases=$(given "$2") ;;
        --out) out=$(given "$2") ;;
        --processes) processes=$2 ;;
        --save-every) save_every=$2 ;;
        --score-length) length=$2 ;;
        --stride) stride=$2 ;;
        --workers) workers=$2 ;;
        *) fail "unknown argument $1; see --help" ;;
    esac
    shift 2
done
[ ${#train[@]} -gt 0 ] || fail "--train is missing: a text to train on; see --help"
[ ${#valid[@]} -gt 0 ] || fail "--valid is missing: a text to validate on; see --help"
for file in "${train[@]}" "${valid[@]}" "${test[@]}"; do
    [ -f "$file" ] && [ -r "$file" ] || fail "$file: cannot be read; check the path"
done
[ -n "$phases" ] || fail "--phases is missing: a YAML file, see configs/language_model"
[ -f "$phases" ] && [ -r "$phases" ] || fail "$phases: cannot be read; check --phases"
[ "$stride" -le "$length" ] || fail "--stride $stride: longer than a window of $length tokens; see --help"
[ -n "$out" ] || fail "--out is missing: a folder to write; see --help"
resumable "$out/.language_model" "$arguments"

if [ -z "$dry" ]; then
    step "Environment"
    set -- # a sourced script would take what is left of ours
    source scripts/environment.sh
    lock "$out/.language_model" "$arguments"
fi
# read before anything is done, so that a fault in the last phase shows now
read_phases=$(python scripts/phases.py "$phases") || exit 2
updates=() changes=() options=()
while IFS=$'\t' read -r count changed words _; do
    updates+=("$count") changes+=("$changed") options+=("$words")
done <<<"$read_phases"

step "Prepare"
splits=(--input "${train[@]}" --valid "${valid[@]}")
[ ${#test[@]} -eq 0 ] || splits+=(--test "${test[@]}")
make "$out/data" littlebird-prepare characters "${splits[@]}" "${unit[@]}" --workers "$workers" --destdir "$out/data"

launch=(littlebird-launch)
[ "$processes" -eq 1 ] || launch=(torchrun --standalone --local-addr localhost --nproc-per-node "$processes" --no-python
    littlebird-launch)
last=""
for n in "${!updates[@]}"; do
    folder=$out/phase-$((n + 1)) begin=()
    step "Phase $((n + 1)) of ${#updates[@]}: ${changes[n]}"
    if [ -z "$dry" ]; then
        mkdir -p "$folder"
        [ ! -e "$folder/options" ] || [ "$(cat "$folder/options")" = "${options[n]}" ] ||
            fail "$phases: phase $((n + 1)) began with other options; correct it, or choose another folder with --out"
        printf '%s' "${options[n]}" >"$folder/options"
    fi
    [ -z "$last" ] || begin=(--finetune-from-model "$last")
    # shellcheck disable=SC2086  # the options are several words
    make "$folder/done" run_training "${updates[n]}" "${launch[@]}" "$out/data" --user-dir fairseq_littlebird \
        --task littlebird_language_modeling --criterion cross_entropy ${options[n]} "${begin[@]}" \
        --required-batch-size-multiple 1 --lr-scheduler fixed --optimizer adam --weight-decay 0.01 --clip-norm 0.25 \
        --num-workers 1 --seed 1 --validate-interval 1000000 --validate-interval-updates "$save_every" \
        --save-interval-updates "$save_every" --keep-interval-updates 1 --no-epoch-checkpoints --log-format simple \
        --log-interval 50 --log-file "$folder/training.log" --save-dir "$folder" "${more[@]}"
    [ -n "$dry" ] || touch "$folder/done"
    last=$folder/checkpoint_last.pt
done

step "Score"
split="valid"
[ ${#test[@]} -eq 0 ] || split="test"
run littlebird-score "$out/data" --path "$last" --gen-subset "$split" --length "$length" --stride "$stride" "${cached[@]}"

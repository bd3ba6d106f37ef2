#!/usr/bin/env bash
# The folders that configs/quality/*.yaml train on: text for recurring span selection, and questions.
#
#   scripts/quality_data.sh --out outputs/quality/pages                        Python's own documentation
#   scripts/quality_data.sh --data ../shared/data --out outputs/quality/small  novels, and whole SQuAD articles
#
# Every step is printed before it runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/run.sh

data='' out='' length=1024 vocabulary=4000
usage() {
    cat <<EOF
usage: scripts/quality_data.sh --out DIR [--data DIR] [--max-tokens N] [--vocab-size N]
  --out DIR        folder to write, which must not be there
  --data DIR       has text_en and squad; without it Python's own documentation is taken
  --max-tokens N   tokens of a window (default: $length); windows overlap by half
  --vocab-size N   SentencePiece pieces (default: $vocabulary)
EOF
}
fail() {
    echo "quality_data: $1" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h) usage && exit 0 ;;
        --*) [ $# -gt 1 ] || fail "$1 needs a value; see --help" ;;
    esac
    case "$1" in
        --data) data=$(given "$2") ;;
        --out) out=$(given "$2") ;;
        --max-tokens) length=$2 ;;
        --vocab-size) vocabulary=$2 ;;
        *) fail "unknown argument $1; see --help" ;;
    esac
    shift 2
done
[ -n "$out" ] || fail "--out is missing; see --help"
[ ! -e "$out" ] || fail "$out: is there; choose another with --out"
for part in text_en squad/train.json squad/train_xquad_en.json squad/dev.json; do
    [ -z "$data" ] || [ -r "$data/$part" ] || fail "$data/$part: cannot be read; check --data"
done
if [ -z "$(command -v littlebird-prepare)" ] || [ -n "${LITTLEBIRD_VENV:-}" ]; then
    source scripts/environment.sh
fi

join=()
if [ -z "$data" ]; then
    run python scripts/pydoc_corpus.py --out "$out/corpus" --per-length 24
    mv "$out/corpus/text.txt" "$out/corpus/all.txt"
    # a document in twenty is held out
    awk -v RS= -v out="$out/corpus" '{ print $0 "\n" > out (NR % 20 ? "/train.txt" : "/valid.txt") }' "$out/corpus/all.txt"
else
    run python scripts/text_corpus.py --input "$data/text_en" --out "$out/plain"
    run python scripts/split_questions.py --data "$data/squad/train.json" "$data/squad/train_xquad_en.json" \
        --test "$data/squad/dev.json" --answerable --test-questions 120 --out "$out/corpus"
    mv "$out"/plain/*.txt "$out/corpus" && rmdir "$out/plain"
    join=(--join-articles)
fi
run littlebird-prepare tokenizer --input "$out/corpus/train.txt" --vocab-size "$vocabulary" --destdir "$out/tokenizer"
for split in train valid; do
    run littlebird-prepare text --tokenizer "$out/tokenizer" --input "$out/corpus/$split.txt" --output "$out/$split.tok"
done
run fairseq-preprocess --only-source --srcdict "$out/tokenizer/dict.txt" --trainpref "$out/train.tok" \
    --validpref "$out/valid.tok" --destdir "$out/text" --workers 2
run littlebird-prepare qa --dataset squad --train "$out/corpus/train.json" --valid "$out/corpus/dev.json" \
    --test "$out/corpus/test.json" --tokenizer "$out/tokenizer" --dict "$out/tokenizer/dict.txt" "${join[@]}" \
    --max-tokens "$length" --stride $((length / 2)) --workers 2 --destdir "$out/questions"

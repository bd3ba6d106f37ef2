#!/usr/bin/env bash
# DNA, from a genome in FASTA to a classifier of promoters and its scores.
#
#   scripts/genomics.sh --fasta genome.fa.gz --bed start_sites.bed --out genomics
#   scripts/genomics.sh --fasta genome.fa.gz --positives promoters.fa --out genomics
#
# A vocabulary of the genome, pretraining on it (masked tokens and the next sentence), promoters with negatives made of
# them, fine-tuning, and F1, MCC, sensitivity and specificity on the test promoters. The defaults are those of BigBird's
# paper but for the model and the batch size, which --batch-size and --update-freq give. Every step is printed before it
# runs and can be run by hand. The same command again goes on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/run.sh

fasta="" bed="" positives="" out="" arch=littlebird_base dry="" chromosomes=() share=0.02 block=1000000
vocabulary=32000 max_tokens=4096 pretraining_updates=1000000 pretraining_lr=1e-4 updates=711 lr=1e-4
batch_size=4 update_freq=64 passes=10 upstream=5000 downstream=3000 workers=2 seed=1 strands=() more=() size=()
sentences="50 100" sentence_bases="500 1000"
usage() {
    cat <<EOF
usage: scripts/genomics.sh --fasta FILE (--bed FILE | --positives FILE) --out DIR [--valid-chromosomes NAME…]
                           [--valid-share X] [--valid-block N] [--vocab-size N] [--passes N] [--sentences "LOW HIGH"]
                           [--sentence-bases "LOW HIGH"] [--arch NAME] [--max-tokens N] [--pretraining-updates N]
                           [--pretraining-lr RATE] [--updates N] [--lr RATE] [--batch-size N] [--update-freq N]
                           [--upstream N] [--downstream N] [--reverse-complement] [--workers N] [--seed N] [--smoke]
                           [--dry-run] [-- OPTIONS]
  --fasta FILE      genome, plain or compressed; a file, as it is read several times
  --bed FILE        start sites with strands; their promoters are cut out of the genome
  --positives FILE  promoters instead: FASTA, or a sequence on each line
  --out DIR         where everything is written
  --valid-chromosomes NAME…   chromosomes of the genome to validate the pretraining on; without them, --valid-share of
                    it (default: $share) in blocks of --valid-block bases (default: $block)
  --vocab-size N    tokens of the vocabulary (default: $vocabulary)
  --passes N, --sentences "LOW HIGH", --sentence-bases "LOW HIGH"   how the genome becomes documents, see
                    littlebird-prepare dna --help (defaults: $passes, $sentences, $sentence_bases)
  --arch NAME       model: littlebird_base (default), bigbird_itc_base, …; both trainings have the same
  --max-tokens N    tokens of a sequence; what is longer is cut (default: $max_tokens)
  --pretraining-updates N, --pretraining-lr RATE   (defaults: $pretraining_updates, $pretraining_lr)
  --updates N, --lr RATE   of the classifier (defaults: $updates, $lr)
  --batch-size N, --update-freq N   sequences of a batch, and batches of an update, in both trainings (defaults:
                    $batch_size, $update_freq)
  --upstream N, --downstream N   of --bed: bases before the start site and from it on (defaults: $upstream, $downstream)
  --reverse-complement   train on both strands, and average the predictions of both
  --workers N       processes that tokenize (default: $workers)
  --seed N          of everything that is drawn (default: $seed)
  --smoke           a tiny model and a few updates on small files: whether all runs, in a minute or two
  --dry-run         print the commands and run none
  -- OPTIONS        for fairseq-train in both trainings, as in: -- --fp16 --checkpoint-activations
EOF
}
fail() {
    echo "genomics: $1" >&2
    exit 2
}
arguments=$*
if [[ " $* " == *" --smoke "* ]]; then # wherever it stands, so that other options count instead of its settings
    arch=littlebird_tiny vocabulary=300 max_tokens=512 pretraining_updates=20 pretraining_lr=1e-3 updates=20 lr=1e-3
    batch_size=8 update_freq=1 passes=2 share=0.1 block=20000 upstream=250 downstream=50
    sentences="2 8" sentence_bases="50 100" size=(--encoder-layers 2 --pack-size 8 --block-size 16)
fi
while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h) usage && exit 0 ;;
        --dry-run) dry=yes && shift && continue ;;
        --reverse-complement) strands=(--reverse-complement) && shift && continue ;;
        --smoke) shift && continue ;;
        --) shift && more=("$@") && break ;;
        --*) [ $# -gt 1 ] && [[ $2 != --* ]] || fail "$1 needs a value; see --help" ;;
    esac
    case "$1" in
        --valid-block | --vocab-size | --passes | --max-tokens | --pretraining-updates | --updates | --batch-size | \
            --update-freq | --downstream | --workers | --seed)
            [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 $2: not a positive whole number; see --help" ;;
        --upstream) [[ $2 =~ ^[0-9]+$ ]] || fail "$1 $2: not a whole number; see --help" ;;
        --sentences | --sentence-bases)
            [[ $2 =~ ^[1-9][0-9]*\ [1-9][0-9]*$ ]] || fail "$1 $2: not two positive whole numbers; see --help" ;;
    esac
    case "$1" in
        --valid-chromosomes) # all values up to the next option
            shift
            while [ $# -gt 0 ] && [[ $1 != --* ]]; do chromosomes+=("$1") && shift; done
            continue ;;
        --fasta) fasta=$(given "$2") ;;
        --bed) bed=$(given "$2") ;;
        --positives) positives=$(given "$2") ;;
        --out) out=$(given "$2") ;;
        --valid-share) share=$2 ;;
        --valid-block) block=$2 ;;
        --vocab-size) vocabulary=$2 ;;
        --passes) passes=$2 ;;
        --sentences) sentences=$2 ;;
        --sentence-bases) sentence_bases=$2 ;;
        --arch) arch=$2 ;;
        --max-tokens) max_tokens=$2 ;;
        --pretraining-updates) pretraining_updates=$2 ;;
        --pretraining-lr) pretraining_lr=$2 ;;
        --updates) updates=$2 ;;
        --lr) lr=$2 ;;
        --batch-size) batch_size=$2 ;;
        --update-freq) update_freq=$2 ;;
        --upstream) upstream=$2 ;;
        --downstream) downstream=$2 ;;
        --workers) workers=$2 ;;
        --seed) seed=$2 ;;
        *) fail "unknown argument $1; see --help" ;;
    esac
    shift 2
done
[ -n "$fasta" ] || fail "--fasta is missing: a genome; see --help"
[ -n "$bed$positives" ] || fail "--bed or --positives is missing: promoters; see --help"
[ -z "$bed" ] || [ -z "$positives" ] || fail "--bed and --positives: give one of them; see --help"
for file in "$fasta" "${bed:-$positives}"; do
    [ -f "$file" ] && [ -r "$file" ] || fail "$file: cannot be read; check the path"
done
[ -n "$out" ] || fail "--out is missing: a folder to write; see --help"
resumable "$out/.genomics" "$arguments"

if [ -z "$dry" ]; then
    step "Environment"
    set -- # a sourced script would take what is left of ours
    source scripts/environment.sh
    lock "$out/.genomics" "$arguments"
fi

step "Vocabulary"
tokenizer=$out/tokenizer
make "$tokenizer" littlebird-prepare tokenizer --fasta "$fasta" --alphabet ACGTN --kind bpe \
    --vocab-size "$vocabulary" --destdir "$tokenizer"
known=(--tokenizer "$tokenizer" --dict "$tokenizer/dict.txt" --workers "$workers" --seed "$seed")

step "Prepare the genome"
held_out=(--valid-share "$share" --valid-block "$block")
[ ${#chromosomes[@]} -eq 0 ] || held_out=(--valid-chromosomes "${chromosomes[@]}")
# shellcheck disable=SC2086  # two numbers
make "$out/dna" littlebird-prepare dna --fasta "$fasta" "${known[@]}" "${held_out[@]}" --passes "$passes" \
    --sentences $sentences --sentence-bases $sentence_bases "${strands[@]}" --destdir "$out/dna"

step "Prepare the promoters"
source=(--positives "$positives")
[ -z "$bed" ] || source=(--bed "$bed" --genome "$fasta" --upstream "$upstream" --downstream "$downstream")
make "$out/promoter" littlebird-prepare promoter "${source[@]}" "${known[@]}" --max-tokens "$max_tokens" \
    "${strands[@]}" --destdir "$out/promoter"

optimizer=adam insertion=()
[[ $arch != littlebird* ]] || optimizer=littlebird_adam insertion=(--padding-insertion)
# positions of the models that learn them
[[ $arch =~ ^(littlebird|bigbird_etc) ]] || size+=(--max-positions "$max_tokens")
both=(--arch "$arch" "${size[@]}" --context-type --user-dir fairseq_littlebird --batch-size "$batch_size"
    --update-freq "$update_freq" --optimizer "$optimizer" --adam-betas '(0.9, 0.98)' --weight-decay 0.01 --clip-norm 1.0
    --lr-scheduler polynomial_decay --num-workers 1 --seed "$seed" --no-epoch-checkpoints --keep-interval-updates 1
    --validate-interval 1000000 --log-format simple --log-interval 50)
# training NAME UPDATES RATE OPTIONS…: a training that is made once
training() {
    local name=$1 count=$2 rate=$3 warmup=$(($2 / 10)) every=$(($2 < 20000 ? ($2 + 9) / 10 : 2000))
    [ "$warmup" -le 10000 ] || warmup=10000
    make "$out/$name/done" run_training "$count" fairseq-train "${@:4}" "${both[@]}" --lr "$rate" \
        --warmup-updates "$warmup" --total-num-update "$count" --max-update "$count" \
        --validate-interval-updates "$every" --save-interval-updates "$every" --log-file "$out/$name.log" \
        --save-dir "$out/$name" "${more[@]}"
    [ -n "$dry" ] || touch "$out/$name/done"
}

step "Pretrain, $pretraining_updates updates"
later=$updates training pretrained "$pretraining_updates" "$pretraining_lr" "$out/dna" --task dna_pretraining \
    --criterion masked_lm_nsp --tokens-per-sample "$max_tokens" "${insertion[@]}" \
    --best-checkpoint-metric bits_per_base

step "Train the classifier, $updates updates"
training trained "$updates" "$lr" "$out/promoter" --task littlebird_sentence_prediction \
    --criterion littlebird_classification --finetune-from-model "$out/pretrained/checkpoint_best.pt" \
    --best-checkpoint-metric f1 --maximize-best-checkpoint-metric

step "Predict"
tracks=() written=$out/predictions
if [ -n "$bed" ]; then # the last file that is written says that all are there
    tracks=(--bed "$out/promoters.bed" --bedgraph "$out/promoters.bedGraph" --overwrite) written=$out/promoters.bedGraph
fi
make "$written" littlebird-predict "$out/promoter" --path "$out/trained/checkpoint_best.pt" --gen-subset test \
    --output "$out/predictions" "${strands[@]}" "${tracks[@]}"

step "Scores"
run littlebird-evaluate --dataset classification --gold "$out/promoter/test.gold.json" \
    --predictions "$out/predictions/predictions.json"

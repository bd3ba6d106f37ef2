"""DNA: bits per base against Markov models, promoters against k-mers, and motifs far from a bin.

    python genomics.py run    --out DIR --data DATA
    python genomics.py report --out DIR

DATA is the folder with genomics/hs_pos_TATA.txt, 300 bases around human start sites. ``pretraining`` compares what a
masked model and Markov models say of the test promoters. ``promoters`` trains classifiers, from the pretrained model
and from nothing, against logistic regression on 6-mers. ``motifs`` trains multi-label classifiers on bins whose labels
depend on motifs some 2,000 bases away: reading 4,480 bases or the 512 in the middle. Every step is a command line,
printed before it runs, on one thread and with low priority; what is there already is not run again, and the same
command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import Bench, processor_seconds

PARTS = ("pretraining", "promoters", "motifs")
SIZE = "--encoder-embed-dim 64 --encoder-ffn-embed-dim 256 --encoder-attention-heads 4"
MODELS = {
    "littlebird": f"--arch littlebird_tiny {SIZE} --pack-size 16 --block-size 16",
    "littlebird_no_pack": f"--arch littlebird_tiny {SIZE} --pack-size 0 --block-size 16",
    "bigbird_itc": f"--arch bigbird_itc_tiny {SIZE} --block-size 16 --max-positions 2048",
    "full": f"--arch bert_full_tiny {SIZE} --max-positions 2048",
}
PROMOTER_MODELS = ("littlebird", "bigbird_itc")
STARTS = ("pretrained", "continued", "nothing")
"""``continued`` begins with the best checkpoint of ``pretrained``, and has no dropout."""
# a model, the bases around a bin that it reads
READERS = (("littlebird", 4480), ("littlebird_no_pack", 4480), ("full", 512), ("bigbird_itc", 4480))
WHOLE = "--sentences 3 3 --sentence-bases 100 100 --latest-start 0"
"""A promoter of 300 bases is a document of three sentences."""
MASKINGS = 10
"""Of each test promoter, with other masks."""


class Genomics(Bench):
    """The data and the trainings.

    Args:
        options: of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options.out)
        self.options = options

    def timed(self, name: str, command: str, kept: Path) -> None:
        """A training that goes on where it was stopped, and the minutes of a processor that it takes."""
        if (kept / "done").exists():
            return
        began = processor_seconds()
        self.run(f"{command} --save-dir {kept}", name.replace("/", "-"))
        self.keep(f"minutes/{name}", round((processor_seconds() - began) / 60, 1))
        (kept / "done").touch()

    def sequences(self) -> Path:
        source = self.options.data / "genomics" / "hs_pos_TATA.txt"
        return self.folder("sequences", f"scripts/experiments/genomics_data.py promoters --input {source} --out {{}}")

    def tokenizer(self, name: str, fasta: Path, size: int) -> str:
        """The options that name it."""
        made = self.folder(
            name,
            f"littlebird-prepare tokenizer --fasta {fasta} --alphabet ACGTN --kind bpe --vocab-size {size} "
            "--destdir {}",
        )
        return f"--tokenizer {made} --dict {made}/dict.txt"

    def promoter_tokenizer(self) -> str:
        return self.tokenizer("tokenizer", self.sequences() / "train.fa", self.options.vocab_size)

    def training(self, model: str, updates: int, batch: int, lr: float, seed: int, dropout: float | None = None) -> str:
        """What all trainings have in common."""
        dropout = self.options.dropout if dropout is None else dropout
        optimizer = "littlebird_adam" if model.startswith("littlebird") else "adam"
        return (
            f"--user-dir fairseq_littlebird {MODELS[model]} --encoder-layers {self.options.layers} --context-type "
            f"--dropout {dropout} --attention-dropout 0 --optimizer {optimizer} "
            f"--adam-betas '(0.9,0.98)' --weight-decay 0.01 --clip-norm 1 --lr {lr} --lr-scheduler polynomial_decay "
            f"--warmup-updates {updates // 10} --total-num-update {updates} --max-update {updates} "
            f"--batch-size {batch} --num-workers 0 --seed {seed} --cpu --log-format json --log-interval 20"
        )

    # pretraining

    def pretrained(self, model: str) -> Path:
        """The checkpoint of a masked model of the training promoters."""
        options = self.options
        data = self.folder(
            "dna-train",
            f"littlebird-prepare dna --fasta {self.sequences()}/train.fa {self.promoter_tokenizer()} {WHOLE} "
            "--passes 1 --destdir {}",
        )
        folder = self.out / f"pretrained-{model}"
        updates = options.pretraining_updates
        self.timed(
            f"pretraining/{model}",
            f"fairseq-train {data} --task dna_pretraining --criterion masked_lm_nsp --tokens-per-sample 512 "
            f"{self.training(model, updates, options.batch_size, options.pretraining_lr, 1)} --disable-validation "
            "--no-epoch-checkpoints --save-interval 1000000 --save-interval-updates 100 --keep-interval-updates 1",
            folder,
        )
        return folder / "checkpoint_last.pt"

    def markov(self) -> None:
        if "markov" not in self.results():
            own = self.sequences()
            text = self.run(
                f"scripts/experiments/genomics_baselines.py markov --train {own}/train.fa --test {own}/test.fa",
                "markov",
            )
            self.keep("markov", json.loads(text[text.index("{") :]))

    def bits(self, model: str) -> None:
        """Of the test promoters, where every token that is to be predicted is hidden."""
        if f"bits/{model}" in self.results():
            return
        checkpoint = self.pretrained(model)
        data = self.folder(
            "dna-test",
            f"littlebird-prepare dna --fasta {self.sequences()}/test.fa {self.promoter_tokenizer()} {WHOLE} "
            f"--passes {MASKINGS} --destdir {{}}",
        )
        hidden = "{'leave_unmasked_prob': 0.0, 'random_token_prob': 0.0}"
        text = self.run(
            f"fairseq-validate {data} --user-dir fairseq_littlebird --task dna_pretraining --criterion masked_lm_nsp "
            f"--path {checkpoint} --valid-subset train --batch-size 32 --cpu --num-workers 0 "
            f'--model-overrides "{hidden}" --log-format simple',
            f"bits-{model}",
        )
        found = {name: float(re.findall(rf"{name} ([\d.]+)", text)[-1]) for name in ("bits_per_base", "nsp_accuracy")}
        self.keep(f"bits/{model}", found)

    # promoters

    def promoters(self) -> Path:
        return self.folder(
            "promoter",
            f"littlebird-prepare promoter --positives {self.sequences()}/all.fa {self.promoter_tokenizer()} "
            "--destdir {}",
        )

    def kmers(self) -> None:
        if "promoters/kmers" in self.results():
            return
        predictions = self.out / "kmers.json"
        text = self.run(
            f"scripts/experiments/genomics_baselines.py kmers --data {self.promoters()} --out {predictions}", "kmers"
        )
        self.keep("kmers", json.loads(text[text.index("{") :]))
        self.keep("promoters/kmers", self.promoter_scores("kmers", predictions))

    def promoter(self, model: str, start: str, seed: int) -> None:
        """Trains, predicts and scores a classifier, unless it is in the results."""
        name = f"{model}-{start}-{seed}"
        if f"promoters/{name}" in self.results():
            return
        options, updates = self.options, self.options.promoter_updates
        begin, dropout = "", options.dropout
        if start == "pretrained":
            begin = f"--finetune-from-model {self.pretrained(model)}"
        if start == "continued":
            self.promoter(model, "pretrained", seed)
            begin = f"--finetune-from-model {self.out}/promoter-{model}-pretrained-{seed}/checkpoint_best.pt"
            dropout, updates = 0.0, options.continued_updates
        data, folder = self.promoters(), self.out / f"promoter-{name}"
        self.timed(
            f"promoters/{name}",
            f"fairseq-train {data} --task littlebird_sentence_prediction --criterion littlebird_classification "
            f"{self.training(model, updates, options.batch_size, options.promoter_lr, seed, dropout)} {begin} "
            f"--validate-interval 1000000 --validate-interval-updates {max(1, updates // 10)} --batch-size-valid 64 "
            f"--save-interval-updates {max(1, updates // 10)} --keep-interval-updates 1 --no-epoch-checkpoints "
            "--best-checkpoint-metric f1 --maximize-best-checkpoint-metric",
            folder,
        )
        predicted = self.folder(
            f"predicted-{name}",
            f"littlebird-predict {data} --path {folder}/checkpoint_best.pt --gen-subset test --device cpu "
            "--output {}",
        )
        self.keep(f"promoters/{name}", self.promoter_scores(name, predicted / "predictions.json"))

    def promoter_scores(self, name: str, predictions: Path) -> dict[str, float]:
        text = self.run(
            f"littlebird-evaluate --dataset classification --gold {self.promoters()}/test.gold.json "
            f"--predictions {predictions} --json",
            f"evaluated-{name}",
        )
        return json.loads(text[text.index("{") :])

    # motifs

    def motif_genome(self) -> Path:
        bins = " ".join(map(str, self.options.bins))
        return self.folder(
            "motifs",
            f"scripts/experiments/genomics_data.py motifs --input {self.sequences()}/train.fa --bins {bins} --out {{}}",
        )

    def motif(self, model: str, context: int) -> None:
        name, options = f"{model}-{context}", self.options
        if f"motifs/{name}" in self.results():
            return
        genome, updates = self.motif_genome(), options.motif_updates
        known = self.tokenizer("motif-tokenizer", genome / "genome.fa", options.motif_vocab_size)
        data = self.folder(
            f"chromatin-{context}",
            f"littlebird-prepare chromatin --bed {genome}/bins.bed --labels {genome}/labels.txt "
            f"--genome {genome}/genome.fa --context {context} --valid-region chr7:1-1000000000 {known} --destdir {{}}",
        )
        folder = self.out / f"motif-{name}"
        self.timed(
            f"motifs/{name}",
            f"fairseq-train {data} --task littlebird_sentence_prediction --criterion littlebird_classification "
            f"{self.training(model, updates, options.motif_batch_size, options.motif_lr, 1)} "
            f"--validate-interval 1000000 --validate-interval-updates {max(1, updates // 5)} --batch-size-valid 32 "
            f"--save-interval-updates {max(1, updates // 5)} --keep-interval-updates 1 --no-epoch-checkpoints "
            "--best-checkpoint-metric loss",
            folder,
        )
        predicted = self.folder(
            f"predicted-motif-{name}",
            f"littlebird-predict {data} --path {folder}/checkpoint_best.pt --gen-subset test --array --device cpu "
            "--output {}",
        )
        text = self.run(
            f"littlebird-evaluate --dataset chromatin --gold {data}/test.gold.npy --groups {genome}/groups.tsv "
            f"--predictions {predicted}/probabilities.npy --json",
            f"evaluated-motif-{name}",
        )
        groups = json.loads(text[text.index("{") :])["groups"]
        self.keep(f"motifs/{name}", {motif: own["auroc_mean"] for motif, own in groups.items()})


def run(bench: Genomics, parts: Sequence[str], models: Sequence[str], starts: Sequence[str], seeds: int) -> None:
    if "pretraining" in parts:
        bench.markov()
        for model in models:
            if model in PROMOTER_MODELS:
                bench.bits(model)
    if "promoters" in parts:
        bench.kmers()
        for seed in range(1, seeds + 1):
            for start in STARTS:
                for model in models:
                    if start in starts and model in PROMOTER_MODELS:
                        bench.promoter(model, start, seed)
    if "motifs" in parts:
        for model, context in READERS:
            if model in models:
                bench.motif(model, context)


def report(found: dict[str, Any]) -> str:
    """The tables of docs/results.md."""
    lines = ["| bits per base | one strand | both strands |", "| --- | --- | --- |"]
    for name, of in found.get("markov", {}).items():
        lines.append(f"| Markov, {name} | {of['one strand']:.3f} | {of['both strands']:.3f} |")
    for key, value in _under(found, "bits"):
        lines.append(f"| {key}, masked | {value['bits_per_base']:.3f} |  |")
    names = ("f1", "mcc", "sensitivity", "specificity")
    lines += ["", "| promoters | F1 | MCC | sensitivity | specificity | minutes |", "| --- |" + " --- |" * 5]
    for key, value in _under(found, "promoters"):
        cells = " | ".join(f"{100 * value[name]:.1f}" for name in names)
        lines.append(f"| {key} | {cells} | {found.get(f'minutes/promoters/{key}', '')} |")
    lines += ["", "| motifs 2,000 bases away | AUROC | minutes |", "| --- | --- | --- |"]
    for key, value in _under(found, "motifs"):
        cells = ", ".join(f"{motif} {area:.3f}" for motif, area in value.items())
        lines.append(f"| {key} bases | {cells} | {found.get(f'minutes/motifs/{key}', '')} |")
    for key, value in _under(found, "minutes/pretraining"):
        lines += ["", f"pretraining {key}: {value} minutes"]
    return "\n".join(lines)


def _under(found: dict[str, Any], folder: str) -> list[tuple[str, Any]]:
    return [(key.removeprefix(f"{folder}/"), value) for key, value in found.items() if key.startswith(f"{folder}/")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder with genomics/hs_pos_TATA.txt")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], help="of these alone (all)")
    parser.add_argument("--models", nargs="+", choices=[*MODELS], default=[*MODELS], help="of these alone (all)")
    parser.add_argument(
        "--starts", nargs="+", choices=STARTS, default=[*STARTS], help="of the promoter classifiers (all)"
    )
    parser.add_argument("--seeds", type=int, default=1, help="of the promoter classifiers (%(default)s)")
    parser.add_argument("--layers", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--dropout", type=float, default=0.1, help="(%(default)s)")
    parser.add_argument("--vocab-size", type=int, default=64, help="of the promoters (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="(%(default)s)")
    parser.add_argument("--pretraining-updates", type=int, default=1200, help="(%(default)s)")
    parser.add_argument("--pretraining-lr", type=float, default=2e-3, help="(%(default)s)")
    parser.add_argument("--promoter-updates", type=int, default=1000, help="(%(default)s)")
    parser.add_argument("--continued-updates", type=int, default=450, help="(%(default)s)")
    parser.add_argument("--promoter-lr", type=float, default=1e-3, help="(%(default)s)")
    parser.add_argument("--bins", type=int, nargs=3, default=[1600, 100, 400], help="of the motifs (%(default)s)")
    parser.add_argument("--motif-vocab-size", type=int, default=1024, help="(%(default)s)")
    parser.add_argument("--motif-updates", type=int, default=600, help="(%(default)s)")
    parser.add_argument("--motif-batch-size", type=int, default=8, help="(%(default)s)")
    parser.add_argument("--motif-lr", type=float, default=2e-3, help="(%(default)s)")
    options = parser.parse_args()
    bench = Genomics(options)
    if options.what == "report":
        print(report(bench.results()))
        return
    if not options.data:
        parser.error("--data is missing")
    options.data = options.data.resolve()
    run(bench, options.parts, options.models, options.starts, options.seeds)


if __name__ == "__main__":
    main()

"""Classifiers from one pretrained model: pairs of sentences, and reviews read up to 512 to 4,096 tokens.

    python classification.py run    --out DIR --data DATA --source MODEL
    python classification.py report --out DIR

DATA is a folder with glue/STS-B, glue/RTE and classification/movie_reviews.zip, MODEL a Hugging Face folder of BERT.
STS-B and RTE are re-split by third parties: their figures are not GLUE's. The 2,000 reviews are split into 1,400 to
train on, 200 to choose the checkpoint by and 400 to score, alike for every length. Every model starts from MODEL and
has as many updates of the same batches at the same learning rate; a seed draws the order of the texts and the head.
LittleBird drops MODEL's position embeddings, so its attention is distilled from MODEL's first, on DATA/text_en/litbank,
as scripts/reuse.sh does; ``littlebird_inserted`` has padding insertion in the fine-tuning that follows,
``littlebird_warm`` goes without distillation, and ``littlebird_positions`` keeps the position embeddings instead of the
slopes. ``--test-tokens`` scores what was trained on short texts on longer ones, too (the paper's table 6).
Every step is a command line, printed before it runs, on one thread and with low priority; what is there already is not
run again, and the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench import Bench
from distil import distilled

MODELS = {
    "full": "--to full",
    "littlebird": "--to littlebird",
    "bigbird_itc": "--to bigbird_itc",
    "longformer": "--to longformer --attention-window 256",
    "littlebird_inserted": "--to littlebird",
    "littlebird_warm": "--to littlebird",
    "littlebird_positions": "--to littlebird --positions learned",
}
"""The warm starts. They come in this order, the most important first."""
SHORT = 512
"""The positions of the source. Full attention over more tokens is BigBird's, which is full where a text has few blocks,
over the source's positions repeated."""
DISTILLED = ("littlebird", "littlebird_inserted")
SPLITS = {"train": 700, "valid": 100, "test": 200}
"""Reviews of each class."""


class Setting(NamedTuple):
    """A task, and how it is learned.

    Args:
        tokens: of a text at most.
        metric: by which the checkpoint is chosen, and which the report shows.
        split: that is scored.
    """

    task: str
    tokens: int
    metric: str
    split: str

    @property
    def name(self) -> str:
        return f"{self.task}-{self.tokens}"


PAIRS = [Setting("STS-B", 512, "spearman", "valid"), Setting("RTE", 512, "accuracy", "valid")]
REVIEWS = [Setting("reviews", tokens, "accuracy", "test") for tokens in (512, 1024, 2048, 4096)]
SETTINGS = {setting.name: setting for setting in [*PAIRS, *REVIEWS]}


class Classifiers(Bench):
    """The trainings.

    Args:
        options: of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options.out, bf16=options.bf16)
        self.options = options

    def data(self, setting: Setting) -> Path:
        """The prepared folder of a task."""
        source, data = self.options.source, self.options.data
        tokenizer = self.folder("tokenizer", f"littlebird-prepare tokenizer --from {source}/vocab.txt --destdir {{}}")
        own = f"--tokenizer {tokenizer} --dict {tokenizer}/dict.txt --max-tokens {setting.tokens} --destdir {{}}"
        if setting.task == "reviews":
            files = reviews(data / "classification" / "movie_reviews.zip", self.out)
            given = " ".join(f"--{split} {file}" for split, file in files.items())
        else:
            given = f"--format glue --name {setting.task} --skip-bad"
            folder = data / "glue" / setting.task
            given += f" --train {folder}/train.tsv --valid {folder}/dev.tsv"
        return self.folder(f"data-{setting.name}", f"littlebird-prepare classification {given} {own}")

    def start(self, model: str, tokens: int) -> Path:
        """The model to start from, with as many positions as the texts have."""
        own, name = MODELS[model], f"start-{model}-{tokens}"
        if model == "full" and tokens > SHORT:
            own = f"--to bigbird_itc --block-size {tokens // 4}"
        if own == MODELS["littlebird"]:
            name = "start-littlebird"
        elif "--to full" not in own:
            own += f" --max-positions {tokens}"
        return self.folder(name, f"littlebird-warm-start --from {self.options.source} {own} --out {{}}")

    def checkpoint(self, model: str, tokens: int) -> Path:
        """The parameters to start from."""
        if model not in DISTILLED:
            return self.start(model, tokens) / "checkpoint.pt"
        options, teacher, student = self.options, self.start("full", SHORT), self.start("littlebird", SHORT)
        return distilled(
            self,
            options.data,
            teacher,
            student,
            updates=options.distil_updates,
            lr=options.distil_lr,
            hidden_weight=options.hidden_weight,
            seed=options.distil_seed,
        )

    def train(self, setting: Setting, model: str, seed: int) -> Path:
        """The best checkpoint of a training that goes on where it was stopped."""
        options, name = self.options, f"{setting.name}-{model}-{seed}"
        updates = options.review_updates if setting.task == "reviews" else options.pair_updates
        data, folder = self.data(setting), self.start(model, setting.tokens)
        start, half = self.checkpoint(model, setting.tokens), max(1, updates // 2)
        own = (
            "--task littlebird_sentence_prediction --criterion littlebird_classification --optimizer adam "
            f"--lr {options.lr} --weight-decay 0.01 --batch-size {options.batch_size} --batch-size-valid 8 "
            f"--seed {seed} --validate-interval 1000000 --validate-interval-updates {half} "
            f"--save-interval-updates {half} --best-checkpoint-metric {setting.metric} "
            "--maximize-best-checkpoint-metric"
        )
        own += " --padding-insertion" * (model == "littlebird_inserted")
        return self.training(name, data, folder, start, updates, own) / "checkpoint_best.pt"

    def score(self, setting: Setting, model: str, seed: int) -> None:
        """Trains, predicts and scores, at the training's length and at those that are asked for."""
        longer = self.options.test_tokens if setting.task == "reviews" else []
        for tokens in [setting.tokens, *longer]:
            self.score_at(tokens, setting, model, seed)

    def score_at(self, tokens: int, setting: Setting, model: str, seed: int) -> None:
        """The score on texts of so many tokens at most, unless it is in the results."""
        trained = f"{setting.name}-{model}-{seed}"
        name = trained if tokens == setting.tokens else f"{trained}-at-{tokens}"
        if f"scores/{name}" in self.results():
            return
        checkpoint, data = self.train(setting, model, seed), self.data(setting._replace(tokens=tokens))
        predicted = self.folder(
            f"predicted-{name}",
            f"littlebird-predict {data} --path {checkpoint} --gen-subset {setting.split} --device cpu "
            f"--max-tokens 16384 --precision {'bfloat16' if self.bf16 else 'float32'} --output {{}}",
        )
        bins = " --length-bins 512,1024,2048" if setting.task == "reviews" else ""
        text = self.run(
            f"littlebird-evaluate --dataset classification --gold {data}/{setting.split}.gold.json "
            f"--predictions {predicted}/predictions.json --json{bins}",
            f"evaluated-{name}",
        )
        self.keep(f"scores/{name}", json.loads(text[text.index("{") :]))


def reviews(archive: Path, out: Path) -> dict[str, Path]:
    """Split -> JSON lines of reviews, drawn at random, each class alike."""
    files = {split: out / f"reviews.{split}.jsonl" for split in SPLITS}
    if not all(file.exists() for file in files.values()):
        with zipfile.ZipFile(archive) as content:
            lines = {split: [*_drawn(content, split)] for split in SPLITS}
        for split, file in files.items():
            file.write_text("".join(lines[split]), "utf-8")
    return files


def _drawn(content: zipfile.ZipFile, split: str) -> Iterator[str]:
    """The lines of a split."""
    before = sum(count for name, count in SPLITS.items() if [*SPLITS].index(name) < [*SPLITS].index(split))
    for label in ("neg", "pos"):
        names = sorted(name for name in content.namelist() if f"/{label}/" in name and name.endswith(".txt"))
        random.Random(label).shuffle(names)
        for name in names[before : before + SPLITS[split]]:
            text = content.read(name).decode("utf-8", errors="replace")
            yield json.dumps({"id": name, "text": text, "label": label}) + "\n"


def report(results: dict[str, Any]) -> str:
    """The tables of docs/results.md, of the models that have results: mean of the seeds, and each of them."""
    models = [model for model in MODELS if any(f"-{model}-" in key for key in results)]
    own = {key: value for key, value in results.items() if "-at-" not in key}
    lines = []
    for kind, title in (("scores", ""), ("minutes", "minutes of training")):
        lines += [f"| {title} | {' | '.join(models)} |", "| --- |" + " --- |" * len(models)]
        for setting in SETTINGS.values():
            starts = [f"{kind}/{setting.name}-{model}-" for model in models]
            found = [[value for key, value in own.items() if key.startswith(start)] for start in starts]
            if kind == "scores":
                found = [[100 * value[setting.metric] for value in cell] for cell in found]
            cells = [
                f"{statistics.mean(cell):.1f} ({', '.join(f'{x:.1f}' for x in cell)})" if cell else "" for cell in found
            ]
            lines.append(f"| {setting.task}, {setting.tokens:,} tokens | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join([*lines, *(f"{key}: {results[key]}" for key in results.keys() - own.keys())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder with glue/ and classification/")
    parser.add_argument("--source", type=Path, help="BERT in a Hugging Face folder")
    parser.add_argument("--settings", nargs="+", choices=[*SETTINGS], default=[*SETTINGS], help="of these alone (all)")
    parser.add_argument("--models", nargs="+", choices=[*MODELS], default=[*MODELS], help="of these alone (all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2], help="(1 2)")
    parser.add_argument("--pair-updates", type=int, default=800, help="of STS-B and RTE (%(default)s)")
    parser.add_argument("--review-updates", type=int, default=200, help="(%(default)s)")
    parser.add_argument("--distil-updates", type=int, default=250, help="of 4,096 tokens (%(default)s)")
    parser.add_argument("--distil-seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--distil-lr", type=float, default=5e-4, help="(%(default)s)")
    parser.add_argument(
        "--test-tokens", nargs="*", type=int, default=[], metavar="N", help="score reviews up to these lengths as well"
    )
    parser.add_argument(
        "--hidden-weight", type=float, default=0.0, help="of the source's hidden states in distillation (%(default)s)"
    )
    parser.add_argument("--batch-size", type=int, default=16, help="(%(default)s)")
    parser.add_argument("--lr", type=float, default=5e-5, help="(%(default)s)")
    parser.add_argument(
        "--bf16", action="store_true", help="train and predict in bfloat16, for processors that are faster in it"
    )
    options = parser.parse_args()
    bench = Classifiers(options)
    if options.what == "report":
        print(report(bench.results()))
        return
    if not options.data or not options.source:
        parser.error("--data and --source are missing")
    options.data, options.source = options.data.resolve(), options.source.resolve()
    for seed in options.seeds:
        for name in options.settings:
            for model in options.models:
                bench.score(SETTINGS[name], model, seed)


if __name__ == "__main__":
    main()

"""Questions about whole articles: LittleBird in one window, against the source model in windows (the paper's table 3).

    python articles.py run    --out DIR --data DATA --source MODEL [--models source littlebird]
    python articles.py report --out DIR

DATA is a folder with squad, squadshifts and text_en, MODEL a Hugging Face folder of BERT. Both models are trained on
the same questions about single paragraphs, in the same order, for as many updates: 29,000 questions with an answer,
about Wikipedia, reviews and comments. ``source`` is MODEL. ``littlebird`` is warm-started from it, its attention is
distilled from MODEL's, and it learns recurring span selection, both on novels of DATA/text_en/litbank, before the
questions. ``littlebird_inserted`` is the same with padding insertion from recurring spans on.
``littlebird_long`` goes on from ``littlebird`` with joined articles in windows of 2,048 tokens. All are asked about
single paragraphs that they have not seen, about whole articles in windows of 512 tokens, 128 from one to the next or
(``fewer-windows``) 128 in common, and LittleBird in one window.
Every step is a command line, printed before it runs, on one thread and with low priority; what is there already is not
run again, and the same command goes on where it was stopped. Models can be trained by two commands at a time, once
MODEL has been converted.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from bench import Bench
from distil import distilled, novels

from fairseq_littlebird.metrics import squad

TRAIN = (
    "squad/train.json",
    "squad/train_xquad_en.json",
    "squadshifts/new_wiki.train.json",
    "squadshifts/amazon_reviews.json",
    "squadshifts/reddit.json",
)
TEST = ("squad/dev.json", "squadshifts/new_wiki.dev.json")
SHORT, STRIDE, LONGER, WHOLE = 512, 128, 2048, 32_768
"""Tokens of a window and from one to the next; of a window of joined articles; of one window for a whole article."""
MODELS = ("source", "littlebird", "littlebird_inserted", "littlebird_long")
WAYS = {
    "paragraphs": (SHORT, STRIDE, False),
    "windows": (SHORT, STRIDE, True),
    "fewer-windows": (SHORT, SHORT - STRIDE, True),
    "one-window": (WHOLE, WHOLE // 2, True),
}
"""Tokens of a window, from one to the next, and whether an article is joined."""
OF_LITTLEBIRD = "--optimizer littlebird_adam --slopes-lr-scale 20"
"""Options of its trainings after distillation, beside padding insertion."""


class Articles(Bench):
    """The trainings.

    Args:
        options: of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options.out, bf16=options.bf16)
        self.options = options

    def start(self, model: str) -> Path:
        """The folder of a warm start."""
        to = "full" if model == "source" else "littlebird"
        return self.folder(f"start-{to}", f"littlebird-warm-start --from {self.options.source} --to {to} --out {{}}")

    def questions(self, name: str) -> Path:
        """``train`` or ``test`` as one file of questions that have an answer."""
        path, data = self.out / f"{name}.json", self.options.data
        if not path.exists():
            articles = [article for file in (TRAIN if name == "train" else TEST) for article in _articles(data / file)]
            if name == "test":
                _keep_some([q for article in articles for q in _questions(article)], articles, self.options.questions)
            path.write_text(json.dumps({"version": "", "data": articles}))
        return path

    def data(self, split: str, tokens: int, stride: int, *, joined: bool) -> Path:
        """The questions as numbers."""
        tokenizer, join = self.start("source"), "--join-articles " * joined
        return self.folder(
            f"{split}-{'whole' if joined else 'paragraphs'}-{tokens}-{stride}",
            f"littlebird-prepare qa --dataset squad {join}--{split} {self.questions(split)} --tokenizer {tokenizer} "
            f"--dict {tokenizer}/dict.txt --max-tokens {tokens} --stride {stride} --workers 1 --destdir {{}}",
        )

    def trained(self, model: str) -> Path:
        """The last checkpoint of a reader."""
        options = self.options
        if model == "source":
            start, own = self.start("source") / "checkpoint.pt", "--span-head linear --optimizer adam"
        else:
            start = self.trained("littlebird") if model == "littlebird_long" else self.spans(model)
            own = f"--span-head qass {self.of_littlebird(model)}"
        longer = model == "littlebird_long"
        data = (
            self.data("train", LONGER, LONGER // 2, joined=True)
            if longer
            else self.data("train", SHORT, STRIDE, joined=False)
        )
        updates = options.longer_updates if longer else options.updates
        own += f" --batch-size {max(1, options.batch_size * SHORT // LONGER) if longer else options.batch_size}"
        own += " --task question_answering --criterion question_answering --metric squad"
        return self.learned(f"reader-{model}", data, self.start(model), start, updates, own)

    def of_littlebird(self, model: str) -> str:
        """The options of a LittleBird's trainings after distillation."""
        return OF_LITTLEBIRD + " --padding-insertion" * (model == "littlebird_inserted")

    def spans(self, model: str) -> Path:
        """A LittleBird after distillation and recurring span selection."""
        options, student = self.options, self.start("littlebird")
        start = distilled(
            self,
            options.data,
            self.start("source"),
            student,
            updates=options.distil_updates,
            lr=options.distil_lr,
            hidden_weight=options.hidden_weight,
            seed=options.seed,
        )
        own = (
            "--task recurring_span_selection --criterion recurring_span_selection --sample-break-mode complete "
            f"--shorten-method truncate --tokens-per-sample {SHORT} --batch-size 8 {self.of_littlebird(model)}"
        )
        name = model.replace("littlebird", "spans")
        return self.learned(name, novels(self, options.data, student), student, start, options.span_updates, own)

    def learned(self, name: str, data: Path, model: Path, start: Path, updates: int, own: str) -> Path:
        """The last checkpoint of a training; arguments as :meth:`training`'s."""
        own += f" --lr {self.options.lr} --weight-decay 0.01 --dropout 0 --required-batch-size-multiple 1"
        own += f" --seed {self.options.seed} --disable-validation --save-interval-updates {max(1, updates // 10)}"
        return self.training(name, data, model, start, updates, own) / "checkpoint_last.pt"

    def score(self, model: str) -> None:
        """Trains a model, asks it and scores its answers, unless they are in the results."""
        ways = [way for way in self.options.ways if way != "one-window" or model != "source"]
        precision = "bfloat16" if self.bf16 else "float32"
        for way in ways:
            name, (tokens, stride, joined) = f"{model}-{way}", WAYS[way]
            if f"scores/{name}" in self.results():
                continue
            data, checkpoint = self.data("test", tokens, stride, joined=joined), self.trained(model)
            begun = time.monotonic()
            predicted = self.folder(
                f"predicted-{name}",
                f"littlebird-predict {data} --path {checkpoint} --gen-subset test --device cpu --max-tokens {WHOLE} "
                f"--precision {precision} --output {{}}",
            )
            seconds = time.monotonic() - begun
            text = self.run(
                f"littlebird-evaluate --dataset squad --gold {self.questions('test')} "
                f"--predictions {predicted}/predictions.json --json",
                f"evaluated-{name}",
            )
            self.keep(f"scores/{name}", json.loads(text[text.index("{") :]) | {"seconds": round(seconds, 1)})


def _articles(path: Path) -> Iterator[dict[str, Any]]:
    """The articles of a file, with the questions that have an answer."""
    for article in json.loads(path.read_text("utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            paragraph["qas"] = [q for q in paragraph["qas"] if q["answers"] and not q.get("is_impossible")]
        yield article


def _questions(article: dict[str, Any]) -> list[str]:
    return [q["id"] for paragraph in article["paragraphs"] for q in paragraph["qas"]]


def _keep_some(ids: list[str], articles: list[dict[str, Any]], count: int) -> None:
    """Leaves so many questions, drawn from all."""
    kept = {*random.Random(0).sample(ids, min(count, len(ids)))}
    for article in articles:
        for paragraph in article["paragraphs"]:
            paragraph["qas"] = [q for q in paragraph["qas"] if q["id"] in kept]


def scores(gold: dict[str, Any], predictions: dict[str, str], measure: Callable[[str, str], float]) -> list[float]:
    """Of each question in percent.

    Args:
        gold: SQuAD's file.
        predictions: a text for each question.
        measure: of a prediction and an answer; the best of a question's answers counts.
    """
    texts = squad.answers(gold)
    return [100 * max(measure(predictions[q], text) for text in texts[q]) for q in texts]


def interval(values: list[float]) -> str:
    """The mean, and what holds 95 % of a bootstrap over the values."""
    means = sorted(fmean(random.Random(n).choices(values, k=len(values))) for n in range(1000))
    return f"{fmean(values):.1f} [{means[25]:.1f}, {means[974]:.1f}]"


def report(out: Path, results: dict[str, Any]) -> str:
    """The table of docs/experiments/claims.md, and what one gains over another on the same questions."""
    lines = ["| | exact match | F1 | seconds a question |", "|---|---|---|---|"]
    gold, found = json.loads((out / "test.json").read_text()), {}
    for key, value in results.items():
        if key.startswith("scores/"):
            name = key.removeprefix("scores/")
            predictions = json.loads((out / f"predicted-{name}" / "predictions.json").read_text())
            exact, found[name] = (scores(gold, predictions, measure) for measure in (squad.exact_match, squad.f1))
            seconds = value["seconds"] / len(exact)
            lines.append(f"| {name} | {interval(exact)} | {interval(found[name])} | {seconds:.2f} |")
    pairs = [(f"{model}-one-window", f"source-{way}") for model in MODELS for way in ("windows", "fewer-windows")]
    pairs += [(f"littlebird-{way}", f"littlebird_inserted-{way}") for way in WAYS]
    for one, other in pairs:
        if one in found and other in found:
            gained = [ours - theirs for ours, theirs in zip(found[one], found[other], strict=True)]
            lines.append(f"{one} less {other}, F1 of the same questions: {interval(gained)}")
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in results.items() if key.startswith("minutes/"))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder with squad/, squadshifts/ and text_en/")
    parser.add_argument("--source", type=Path, help="BERT in a Hugging Face folder")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS], help="of these alone (all)")
    parser.add_argument("--ways", nargs="+", choices=[*WAYS], default=[*WAYS], help="to ask, of these alone (all)")
    parser.add_argument("--questions", type=int, default=300, help="to score (%(default)s)")
    parser.add_argument("--updates", type=int, default=1500, help="of questions about paragraphs (%(default)s)")
    parser.add_argument("--longer-updates", type=int, default=150, help="of joined articles (%(default)s)")
    parser.add_argument("--distil-updates", type=int, default=200, help="of 4,096 tokens (%(default)s)")
    parser.add_argument("--span-updates", type=int, default=150, help="of 4,096 tokens (%(default)s)")
    parser.add_argument("--distil-lr", type=float, default=5e-4, help="(%(default)s)")
    parser.add_argument(
        "--hidden-weight", type=float, default=0.0, help="of the source's hidden states in distillation (%(default)s)"
    )
    parser.add_argument("--batch-size", type=int, default=12, help="windows of an update (%(default)s)")
    parser.add_argument("--lr", type=float, default=3e-4, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of every training (%(default)s)")
    parser.add_argument(
        "--bf16", action="store_true", help="train and predict in bfloat16, for processors that are faster in it"
    )
    options = parser.parse_args()
    bench = Articles(options)
    if options.what == "report":
        print(report(bench.out, bench.results()))
        return
    if not options.data or not options.source:
        parser.error("--data and --source are missing")
    options.data, options.source = options.data.resolve(), options.source.resolve()
    for model in options.models:
        bench.score(model)


if __name__ == "__main__":
    main()

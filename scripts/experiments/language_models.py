"""Bits per character of small language models: windows against full attention, and how windows are best chosen.

    python language_models.py run    --out DIR --data DATA
    python language_models.py report --out DIR

DATA is a folder with char_lm (27 symbols, made as text8 is) and text_en/litbank (a novel, read as bytes). All models
have 4 layers of width 128 and read as many tokens in as many updates, but for what says otherwise. Every step is a
command line, printed before it runs, on one thread and with low priority; what is there already is not run again, and
the same command goes on where it was stopped, also inside of a training. The steps come in order of their importance,
so that the tables of a run that was cut have fewer rows.

The cost of a training is the processor's time, with the start of the program: other work on the machine hardly changes
it. "At equal time" is the loss of the validation text of the slower training when the faster one has ended, between
two validations on a line.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from bench import Bench, processor_seconds

SIZES = "--decoder-layers 4 --decoder-embed-dim 128 --decoder-ffn-embed-dim 512 --decoder-attention-heads 4 --dropout 0"
LONGFORMER = f"--arch longformer_lm_tiny {SIZES} --attention-window"
RISING, FALLING, FIXED = "16-128", "128-16", "60"  # of 60 tokens in the mean, each
DILATED = "--attention-dilation 1/1/2,2,1,1/3,3,1,1"  # two heads of the upper half of the layers
TRANSFORMER = (
    f"--arch transformer_lm {SIZES} --decoder-input-dim 128 --decoder-output-dim 128 --decoder-normalize-before "
    "--share-decoder-input-output-embed --activation-fn gelu --max-target-positions 16384"
)
LITTLEBIRD = f"--arch littlebird_lm_tiny {SIZES} --block-size 32"
BATCH = 4096  # tokens of an update
VALID = 16384  # tokens of a validation in training
NOVEL = "text_en/litbank/145_middlemarch.txt"


class Part(NamedTuple):
    """One training of a step, from the weights of the part before.

    Args:
        model: its options.
        tokens: of a text.
        share: of the updates of a step.
        rate: share of the learning rate, which is constant after its warmup; None for one that falls to 0.
    """

    model: str
    tokens: int
    share: float = 1.0
    rate: float | None = None

    @property
    def batch(self) -> int:
        """Texts of an update."""
        return max(1, BATCH // self.tokens)

    def updates(self, updates: int) -> int:
        """Its own, of those of a step with ``BATCH`` tokens each."""
        return max(2, round(updates * self.share * BATCH / (self.batch * self.tokens)))


class Step(NamedTuple):
    """A model, trained and scored.

    Args:
        name: of its files and of its row.
        parts: trained one after another.
        lengths: of the texts that the test is scored by.
        data: characters or bytes.
    """

    name: str
    parts: tuple[Part, ...]
    lengths: tuple[int, ...] = (512, 2048, 8192)
    data: str = "characters"


STAGES = (0.5, 1.0), (0.25, 0.5), (0.25, 0.25)  # share of the updates, and of the learning rate
STAGED = ("16-128", 512), ("32-256", 1024), ("64-512", 2048)
STEPS = [
    Step("longformer-512", (Part(f"{LONGFORMER} {RISING}", 512),)),
    Step("transformer-512", (Part(TRANSFORMER, 512),)),
    Step("longformer-2048", (Part(f"{LONGFORMER} {RISING}", 2048),)),
    Step("transformer-2048", (Part(TRANSFORMER, 2048),)),
    Step("falling", (Part(f"{LONGFORMER} {FALLING}", 512),), (2048,)),
    Step("fixed", (Part(f"{LONGFORMER} {FIXED}", 512),), (2048,)),
    Step("dilated", (Part(f"{LONGFORMER} {RISING} {DILATED}", 512),), (2048,)),
    Step(
        "staged",
        tuple(
            Part(f"{LONGFORMER} {window}", tokens, *stage)
            for (window, tokens), stage in zip(STAGED, STAGES, strict=True)
        ),
    ),
    Step("unstaged", tuple(Part(f"{LONGFORMER} {STAGED[-1][0]}", STAGED[-1][1], *stage) for stage in STAGES)),
    Step("littlebird", (Part(LITTLEBIRD, 2048),), (2048, 8192)),
    Step("longformer-8192", (Part(f"{LONGFORMER} {RISING}", 8192),)),
    Step("novel", (Part(f"{LONGFORMER} {RISING}", 2048),), (2048, 8192), "bytes"),
    Step("novel-transformer", (Part(TRANSFORMER, 2048),), (2048, 8192), "bytes"),
    Step("transformer-8192", (Part(TRANSFORMER, 8192, 0.2),), (8192,)),
]
PAIRS = [  # what is compared at equal time
    ("longformer-512", "transformer-512"),
    ("longformer-2048", "transformer-2048"),
    ("longformer-8192", "transformer-8192"),
    ("novel", "novel-transformer"),
    ("staged", "unstaged"),
]


class LanguageModels(Bench):
    """The trainings.

    Args:
        options: of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options.out)
        self.options = options

    def data(self, kind: str) -> Path:
        """The prepared folder of characters, or of a novel's bytes."""
        if kind == "bytes":
            files = novel(self.options.data / NOVEL, self.out)
        else:
            folder = self.options.data / "char_lm"
            files = {split: folder / f"text8_like.{split}.txt" for split in ("train", "valid", "test")}
        given = f"--input {files['train']} --valid {files['valid']} --test {files['test']}"
        own = "--bytes " if kind == "bytes" else ""
        return self.folder(kind, f"littlebird-prepare characters {given} {own}--destdir {{}}")

    def train(self, step: Step) -> Path:
        """The checkpoint of a step's last part."""
        start, data = None, self.data(step.data)
        for number, part in enumerate(step.parts, 1):
            name = f"{step.name}-{number}"
            folder = self.out / name
            if not (folder / "done").exists():
                self._train(name, data, part, start)
                (folder / "done").touch()
            start = folder / "checkpoint_last.pt"
        assert start is not None
        return start

    def _train(self, name: str, data: Path, part: Part, start: Path | None) -> None:
        updates = part.updates(self.options.updates)
        rate, warmup = self.options.lr * (1.0 if part.rate is None else part.rate), max(1, updates // 10)
        falls = f"--lr-scheduler polynomial_decay --total-num-update {updates} --end-learning-rate 0"
        often, steps = max(1, updates // 5), max(1, VALID // (part.batch * part.tokens))
        begin = "" if start is None else f"--finetune-from-model {start} "
        schedule = falls if part.rate is None else "--lr-scheduler fixed"
        log = self.out / f"{name}.log"
        old, before = (len(log.read_text()) if log.exists() else 0), processor_seconds()
        text = self.run(
            f"fairseq-train {data} --user-dir fairseq_littlebird --task littlebird_language_modeling "
            f"--criterion cross_entropy {part.model} --tokens-per-sample {part.tokens} "
            f"--batch-size {part.batch} --max-update {updates} --optimizer adam --lr {rate:g} {schedule} "
            f"--warmup-updates {warmup} --weight-decay 0.01 --clip-norm 0.25 {begin}--cpu --num-workers 0 --seed 1 "
            f"--required-batch-size-multiple 1 --validate-interval 1000000 --validate-interval-updates {often} "
            f"--max-valid-steps {steps} --no-epoch-checkpoints --save-interval-updates {often} "
            f"--keep-interval-updates 1 --log-format json --log-interval {max(1, updates // 60)} "
            f"--save-dir {self.out / name}",
            name,
            mode="a",
        )
        spent = processor_seconds() - before
        done = [int(line["num_updates"]) for line in logged(text[old:], "train_inner")]
        if len(done) > 1:
            self.keep(f"cost/{name}", round(spent / (done[-1] - done[0] + done[1] - done[0]), 3))

    def score(self, step: Step) -> None:
        """Trains and scores, unless it is in the results."""
        for length in step.lengths:
            key = f"bits/{step.name}/{length}"
            if key in self.results():
                continue
            checkpoint, data = self.train(step), self.data(step.data)
            text = self.run(
                f"littlebird-score {data} --path {checkpoint} --gen-subset test --length {length} "
                f"--stride {length // 2} --device cpu --json",
                f"score-{step.name}-{length}",
            )
            found, _ = json.JSONDecoder().raw_decode(text, text.index("{"))  # beside a progress bar
            self.keep(key, found["bits_per_token"])


def logged(text: str, kind: str) -> list[dict[str, str]]:
    """The records of one kind, such as valid, in a log of ``--log-format json``."""
    return [json.loads(found) for found in re.findall(rf"\| {kind} \| (\{{.*\}})$", text, re.MULTILINE)]


def novel(path: Path, out: Path) -> dict[str, Path]:
    """Split -> a file with its bytes: the last twentieth is the test, the one before it the validation text."""
    files = {split: out / f"novel.{split}.txt" for split in ("train", "valid", "test")}
    if not all(file.exists() for file in files.values()):
        content = path.read_bytes()
        twentieth = len(content) // 20
        ends = [0, len(content) - 2 * twentieth, len(content) - twentieth, len(content)]
        for file, begin, end in zip(files.values(), ends, ends[1:], strict=False):
            file.write_bytes(content[begin:end])
    return files


def curve(out: Path, step: Step, updates: int) -> list[tuple[float, float]]:
    """Updates so far and the loss of the validation text, of all parts."""
    points: dict[float, float] = {}
    done = 0
    for number, part in enumerate(step.parts, 1):
        log = out / f"{step.name}-{number}.log"
        if log.exists():
            for line in logged(log.read_text(), "valid"):
                points[done + int(line["valid_num_updates"])] = float(line["valid_loss"])
        done += part.updates(updates)
    return sorted(points.items())


def cost(results: dict[str, Any], step: Step) -> float | None:
    """Seconds of the processor for an update, in the mean of the parts."""
    own = [(part.share, results.get(f"cost/{step.name}-{number}")) for number, part in enumerate(step.parts, 1)]
    if any(seconds is None for _, seconds in own):
        return None
    return sum(share * seconds for share, seconds in own) / sum(share for share, _ in own)


def at(points: list[tuple[float, float]], update: float) -> float | None:
    """The loss at an update, between two points on a line; None where it lies outside of them."""
    for (left, low), (right, high) in zip(points, points[1:], strict=False):
        if left <= update <= right:
            return low + (high - low) * (update - left) / (right - left)
    return None


def report(out: Path, results: dict[str, Any], updates: int) -> str:
    """The tables of docs/results.md."""
    steps = {step.name: step for step in STEPS}
    lines = ["| | 512 | 2,048 | 8,192 | s/update |", "|---|---|---|---|---|"]
    for name, step in steps.items():
        found = [results.get(f"bits/{name}/{length}") for length in (512, 2048, 8192)]
        if any(value is not None for value in found):
            seconds = cost(results, step)
            cells = [*("" if value is None else f"{value:.3f}" for value in found)]
            lines.append(f"| {name} | {' | '.join(cells)} | {'' if seconds is None else f'{seconds:.2f}'} |")
    lines += ["", "| at equal time | seconds | bits of the one | of the other |", "|---|---|---|---|"]
    for pair in PAIRS:
        costs = [cost(results, steps[name]) for name in pair]
        curves = [curve(out, steps[name], updates) for name in pair]
        if None in costs or not all(curves):
            continue
        ends = [points[-1][0] * seconds for points, seconds in zip(curves, costs, strict=True)]
        bits = [at(points, min(ends) / seconds) for points, seconds in zip(curves, costs, strict=True)]
        cells = ["" if value is None else f"{value:.3f}" for value in bits]
        lines.append(f"| {pair[0]}, {pair[1]} | {min(ends):.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder with char_lm/ and text_en/litbank/")
    names = [step.name for step in STEPS]
    parser.add_argument("--steps", nargs="+", choices=names, default=names, metavar="NAME", help="of these alone (all)")
    parser.add_argument("--updates", type=int, default=200, help=f"of {BATCH:,} tokens (%(default)s)")
    parser.add_argument("--lr", type=float, default=2e-3, help="(%(default)s)")
    options = parser.parse_args()
    bench = LanguageModels(options)
    if options.what == "report":
        print(report(bench.out, bench.results(), options.updates))
        return
    if not options.data:
        parser.error("--data is missing")
    options.data = options.data.resolve()
    for step in STEPS:
        if step.name in options.steps:
            bench.score(step)


if __name__ == "__main__":
    main()

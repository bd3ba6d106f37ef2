"""LittleBird's layers in BERT's form and in ModernBERT's, trained from nothing with the same budget.

    scripts/quickstart.sh --out quickstart
    python scripts/experiments/forms.py --quickstart quickstart --out DIR --seeds 1 2    trains, asks, reports

Takes the text, the vocabulary and the questions of ``scripts/quickstart.sh``, and its trainings: recurring span
selection, then question answering, both at 512 tokens, then questions about whole pages of up to 8K tokens. The models
have as many weights in their layers. What is there already is not run again; ``results.json`` keeps all figures.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from insertion import PRETRAINING, READING
from reuse import Bench

ARMS = {"BERT's": "littlebird_tiny", "ModernBERT's": "littlebird_modernbert_tiny"}
TRAINING = (
    "--padding-insertion --dropout 0 --attention-dropout 0 --optimizer adam --adam-betas '(0.9, 0.98)' "
    "--clip-norm 1.0 --lr-scheduler polynomial_decay --warmup-updates 100 --batch-size 16 --num-workers 0 "
    "--no-epoch-checkpoints --disable-validation --log-format json --log-interval 50"
)


def train(bench: Bench, name: str, arm: str, data: Path, updates: int, options: str) -> Path:
    """The last checkpoint of a training."""
    save = bench.out / name
    if not (save / "done").exists():
        bench.run(
            f"fairseq-train {data} --user-dir fairseq_littlebird --arch {ARMS[arm]} {TRAINING} --max-update {updates} "
            f"--total-num-update {updates} --save-dir {save} {options}",
            bench.out / f"{name}.log",
        )
        (save / "done").touch()
    return save / "checkpoint_last.pt"


def by_length(report: str) -> dict[str, list[float]]:
    """Exact match and F1 by page length in what ``scripts/quickstart_report.py`` prints."""
    rows = re.findall(r"^ *(up to [\d,]+|in windows) +([\d,]+) +([\d.]+) +([\d.]+)$", report, re.MULTILINE)
    return {name: [float(exact), float(f1)] for name, _, exact, f1 in rows}


def measure(bench: Bench, quickstart: Path, arm: str, seed: int, updates: tuple[int, int], lr: float) -> None:
    """Accuracy of recurring spans at the end of the training on them, then exact match and F1 by page length."""
    if (key := f"{arm}/{seed}") in bench.results():
        return
    name, options = f"{ARMS[arm]}-{seed}", f"--lr {lr:g} --seed {seed}"
    text = quickstart / "text-bin"
    spans = train(bench, f"{name}-pretrained", arm, text, updates[0], f"{PRETRAINING} {options}")
    log = (bench.out / f"{name}-pretrained.log").read_text()
    accuracy = [float(found) for found in re.findall(r'"accuracy": "([\d.]+)"', log)]
    reading = f"{READING} --finetune-from-model {spans} {options}"
    reader = train(bench, name, arm, quickstart / "qa-512", updates[1], reading)
    written, pages = bench.out / f"{name}-predictions", quickstart / "qa-8k"
    bench.run(
        f"littlebird-predict {pages} --path {reader} --gen-subset test --output {written} --overwrite",
        bench.out / "predict.log",
    )
    scores = bench.run(
        f"littlebird-evaluate --dataset squad --gold {quickstart}/corpus/test.json "
        f"--predictions {written}/predictions.json --json",
        bench.out / "evaluate.log",
    )
    found = json.loads(scores[scores.index("{") :])
    report = bench.run(
        f"scripts/quickstart_report.py --prepared {pages} --predictions {written}", bench.out / "report.log"
    )
    exact = found["exact" if "exact" in found else "exact_match"]  # with unanswerable questions, and without
    kept = {"spans": accuracy[-1] if accuracy else None, "exact_match": exact, "f1": found["f1"]}
    bench.keep(key, kept | {"pages": by_length(report)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quickstart", type=Path, required=True, help="the folder of scripts/quickstart.sh")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--updates", type=int, nargs=2, default=(500, 1300), help="of each training (%(default)s)")
    parser.add_argument("--lr", type=float, default=4e-3, help="learning rate of both trainings (%(default)s)")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(options.out.resolve(), options.threads)
    for seed in options.seeds:
        for arm in ARMS:
            measure(bench, options.quickstart.resolve(), arm, seed, tuple(options.updates), options.lr)
    results = bench.results()
    lengths = list(results[f"{next(iter(ARMS))}/{options.seeds[0]}"]["pages"])
    print(f"| form | seed | spans, % | EM / F1 | {' | '.join(lengths)} |\n|---|---|---|---|{'---|' * len(lengths)}")
    for arm in ARMS:
        for seed in options.seeds:
            one = results[f"{arm}/{seed}"]
            cells = [f"{one['exact_match']:.1f} / {one['f1']:.1f}"]
            cells += [f"{one['pages'][length][0]:.1f}" for length in lengths]
            print(f"| {arm} | {seed} | {one['spans']} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

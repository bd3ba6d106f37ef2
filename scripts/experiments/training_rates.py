"""Tokens a second of trainings on one core, in float32 and in bfloat16.

    python training_rates.py --out DIR --data DATA --source MODEL [--rounds 3]

DATA is a folder with text_en, MODEL a Hugging Face folder of BERT. Masked language modelling with a model of
MODEL's sizes and with a LittleBird of the same, both randomly initialised, and the distillation of MODEL into the
LittleBird; batches of 8 times 512 tokens of novels. A round runs each training for six updates, of which the first is
not counted. The table has the medians over the rounds' updates, and the slowest and the fastest of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from bench import Bench
from distil import BATCH, TOKENS, novels, objective

TRAININGS = ("full attention", "LittleBird", "distillation")
PRECISIONS = {"float32": False, "bfloat16": True}


def rates(bench: Bench, training: str, precision: str, data: Path, teacher: Path, student: Path) -> list[float]:
    """Tokens a second of the updates of one training, but for the first.

    Args:
        bench: where it is run.
        training: one of ``TRAININGS``.
        precision: one of ``PRECISIONS``.
        data: the prepared text.
        teacher, student: folders of littlebird-warm-start.
    """
    model = teacher if training == "full attention" else student
    own = objective(teacher, bf16=PRECISIONS[precision]) if training == "distillation" else "--criterion masked_lm"
    own += " --bf16" * PRECISIONS[precision]
    text = bench.run(
        f"fairseq-train {data} --user-dir fairseq_littlebird {(model / 'model.args').read_text().strip()} {own} "
        f"--task littlebird_masked_lm --tokens-per-sample {TOKENS} --batch-size {BATCH} --dropout 0 "
        f"--attention-dropout 0 --optimizer adam --lr 1e-4 --max-update 6 --num-workers 0 --cpu --no-save "
        f"--disable-validation --log-format json --log-interval 1",
        f"{training}-{precision}".replace(" ", "-"),
    )
    records = [line.split(" | train_inner | ")[1] for line in text.splitlines() if " | train_inner | {" in line]
    return [float(json.loads(record)["wps"]) for record in records[1:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder with text_en/")
    parser.add_argument("--source", type=Path, required=True, help="BERT in a Hugging Face folder")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    options = parser.parse_args()
    bench, source = Bench(options.out), options.source.resolve()
    teacher, student = (
        bench.folder(f"start-{to}", f"littlebird-warm-start --from {source} --to {to} --out {{}}")
        for to in ("full", "littlebird")
    )
    data = novels(bench, options.data.resolve(), student)
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(options.rounds):
        for training in TRAININGS:
            for precision in PRECISIONS:
                new = rates(bench, training, precision, data, teacher, student)
                found.setdefault((training, precision), []).extend(new)
    print("| | " + " | ".join(PRECISIONS) + " |\n|---|" + "---|" * len(PRECISIONS))
    for training in TRAININGS:
        cells = [found[training, precision] for precision in PRECISIONS]
        shown = [f"{statistics.median(cell):,.0f} [{min(cell):,.0f} – {max(cell):,.0f}]" for cell in cells]
        print(f"| {training} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()

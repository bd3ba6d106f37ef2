"""Padding insertion in all of a training or in none of it, on documents that grow around their answers.

    python insertion.py --quickstart quickstart --out DIR --seeds 1 2    trains, asks, reports

Needs the text and the questions that ``scripts/quickstart.sh`` leaves. The model and the trainings are the
quickstart's: ``littlebird_tiny``, recurring span selection and question answering, all of it at 512 tokens. The shape
of the paper's table 6: the same questions at every length. What is there already is not run again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from reuse import Bench, around

from fairseq_littlebird.text.tokenizers import Tokenizer, load_tokenizer

LENGTHS = (512, 1024, 1536, 2048)  # tokens
ROOM = 64  # tokens of a question and its marks
ARMS = {"without": "", "with": "--padding-insertion"}
MODEL = (
    "--arch littlebird_tiny --dropout 0 --attention-dropout 0 --adam-betas '(0.9, 0.98)' "
    "--clip-norm 1.0 --lr-scheduler polynomial_decay --lr 4e-3 --warmup-updates 100 --batch-size 16 --num-workers 0 "
    "--no-epoch-checkpoints --disable-validation --log-format json --log-interval 50"
)
PRETRAINING = (
    "--task recurring_span_selection --criterion recurring_span_selection --tokens-per-sample 512 "
    "--sample-break-mode complete --shorten-method truncate"
)
READING = "--task question_answering --criterion question_answering --span-head qass --unanswered-windows 0"


def train(bench: Bench, name: str, data: Path, updates: int, options: str) -> Path:
    """The last checkpoint of a training."""
    save = bench.out / name
    if not (save / "done").exists():
        bench.run(
            f"fairseq-train {data} --user-dir fairseq_littlebird {MODEL} --total-num-update {updates} "
            f"--max-update {updates} --save-dir {save} {options}",
            bench.out / f"{name}.log",
        )
        (save / "done").touch()
    return save / "checkpoint_last.pt"


def shortened(article: dict[str, Any], tokenizer: Tokenizer, length: int) -> list[dict[str, Any]]:
    """An article with one paragraph for each of its questions: the lines around the answer, of ``length`` tokens."""
    (paragraph,) = article["paragraphs"]
    lines = paragraph["context"].split("\n")
    sizes = [len(tokenizer.tokenize(line)) for line in lines]
    if sum(sizes) < max(LENGTHS) - ROOM:
        return []
    made = []
    for question in paragraph["qas"]:
        (answer,) = question["answers"]
        n = paragraph["context"].count("\n", 0, answer["answer_start"])
        first, last = around(n, sizes, length - ROOM)
        start = answer["answer_start"] - sum(len(line) + 1 for line in lines[:first])
        context = "\n".join(lines[first:last])
        if context.startswith(answer["text"], start):
            qas = [{**question, "answers": [{"text": answer["text"], "answer_start": start}]}]
            made.append({"title": article["title"], "paragraphs": [{"context": context, "qas": qas}]})
    return made


def questions(bench: Bench, quickstart: Path, length: int) -> tuple[Path, Path]:
    """The test questions about documents of ``length`` tokens, and the same prepared."""
    gold, tokenizer = bench.out / f"test-{length}.json", quickstart / "tokenizer"
    if not gold.exists():
        data = json.loads((quickstart / "corpus/test.json").read_text("utf-8"))["data"]
        short = [one for article in data for one in shortened(article, load_tokenizer(tokenizer), length)]
        gold.write_text(json.dumps({"version": "", "data": short}), "utf-8")
    prepared = bench.folder(
        f"questions-{length}",
        f"littlebird-prepare qa --dataset squad --test {gold} --tokenizer {tokenizer} --dict {tokenizer}/dict.txt "
        f"--max-tokens {length} --stride {length // 4} --destdir {{}}",
    )
    return gold, prepared


def measure(bench: Bench, quickstart: Path, arm: str, seed: int, updates: tuple[int, int], optimizer: str) -> None:
    """Exact match and F1 by length, of one training."""
    options = f"{ARMS[arm]} --seed {seed} --optimizer {optimizer}"
    words = train(bench, f"{arm}-{seed}-pretrained", quickstart / "text-bin", updates[0], f"{PRETRAINING} {options}")
    reading = f"{READING} --finetune-from-model {words} {options}"
    reader = train(bench, f"{arm}-{seed}", quickstart / "qa-512", updates[1], reading)
    for length in LENGTHS:
        key = f"{arm}/{seed}/{length}"
        if key in bench.results():
            continue
        gold, prepared = questions(bench, quickstart, length)
        written = bench.out / f"predictions-{key.replace('/', '-')}"
        bench.run(
            f"littlebird-predict {prepared} --path {reader} --gen-subset test --output {written} --overwrite",
            bench.out / "predict.log",
        )
        text = bench.run(
            f"littlebird-evaluate --dataset squad --gold {gold} --predictions {written}/predictions.json --json",
            bench.out / "evaluate.log",
        )
        scores = json.loads(text[text.index("{") :])
        bench.keep(key, {name: scores[name] for name in ("exact_match", "f1")})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quickstart", type=Path, required=True, help="the folder of scripts/quickstart.sh")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--updates", type=int, nargs=2, default=(500, 1300), help="of each training (%(default)s)")
    parser.add_argument("--slopes-lr-scale", type=float, help="the slopes learn faster by this (as everything else)")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(options.out.resolve(), options.threads)
    scale = options.slopes_lr_scale
    optimizer = f"littlebird_adam --slopes-lr-scale {scale:g}" if scale else "adam"
    for seed in options.seeds:
        for arm in ARMS:
            measure(bench, options.quickstart.resolve(), arm, seed, tuple(options.updates), optimizer)
    print(f"| padding insertion | seed | {' | '.join(map(str, LENGTHS))} |\n|---|---|{'---|' * len(LENGTHS)}")
    for arm in ARMS:
        for seed in options.seeds:
            found = [bench.results()[f"{arm}/{seed}/{length}"] for length in LENGTHS]
            cells = [f"{scores['exact_match']:.1f} / {scores['f1']:.1f}" for scores in found]
            print(f"| {arm} | {seed} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

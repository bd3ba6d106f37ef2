"""A tiny model memorises a sample of each data set: every part of the way from the official file to the score.

    python overfit.py --data DIR --out DIR [DATA_SET ...] [--model NAME] [--updates N] [--records N] [--max-tokens N]

DIR is a folder of samples: hotpotqa/, triviaqa/, wikihop/, korquad2/, tydiqa/ (in the format of Natural Questions) and
classification/. Trained and tested on the same records, so the figures say nothing about how well anything reads;
they say that labels, heads, losses, decoding, offsets and scores fit together.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from fairseq_littlebird.text.html import TOKENS

ROOT = Path(__file__).resolve().parents[2]
SIZES = """--encoder-layers 2 --encoder-embed-dim 64 --encoder-ffn-embed-dim 128 --encoder-attention-heads 4
    --dropout 0 --attention-dropout 0"""
MODELS = {
    "littlebird": f"--arch littlebird_tiny {SIZES} --pack-size 16 --block-size 64",
    "etc": f"--arch bigbird_etc_tiny {SIZES} --structured-input --local-radius 64",
    "longformer": f"--arch longformer_tiny {SIZES} --structured-input --attention-window 128 --max-positions 4096",
}


class Sample(NamedTuple):
    """A data set's sample, and what it takes to learn it."""

    file: str
    figure: str  # the score shown, of littlebird-evaluate
    scale: float  # of that score, to percent
    tokens: int = 4096
    batch: int = 4
    updates: int = 400


SAMPLES = {
    "hotpotqa": Sample("hotpotqa/distractor_100.json", "joint_f1", 100, batch=8, updates=800),
    "wikihop": Sample("wikihop/sample.json", "accuracy", 1),
    "triviaqa": Sample("triviaqa/qa/wikipedia-dev.json", "f1", 1, updates=100),
    "korquad2": Sample("korquad2/korquad2.1_train_00.json", "f1", 1),
    "natural_questions": Sample("nq.jsonl", "short-best-threshold-f1", 100, updates=300),
    "classification": Sample("", "accuracy", 100),
}


def run(command: str, log: Path) -> str:
    """What the command prints on standard output."""
    print("+", command, flush=True)
    words = shlex.split(command)
    words[0] = str(Path(sys.executable).parent / words[0])
    with log.open("w") as errors:
        done = subprocess.run(words, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=errors, text=True)
    with log.open("a") as file:
        file.write(done.stdout)
    if done.returncode:
        sys.exit(f"{log.read_text()[-3000:]}\n{log}: status {done.returncode}")
    return done.stdout


ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def overfit(name: str, data: Path, out: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The scores of a model trained and tested on a sample."""
    model, updates = options.model, options.updates
    if name == "classification":
        return overfit_reviews(data, out / name, model, updates or 60)
    sample = SAMPLES[name]
    gold = (out if name in ("triviaqa", "natural_questions") else data) / sample.file
    folder, tokens = out / name, options.max_tokens or sample.tokens
    folder.mkdir(parents=True, exist_ok=True)
    if options.records:
        some = json.loads(gold.read_text("utf-8"))[: options.records]
        gold = folder / gold.name
        gold.write_text(json.dumps(some), "utf-8")
    words = folder / "dict.txt"
    words.write_text((data / "vocab/gpt2_bpe/dict.txt").read_text() + "".join(f"<{tag}> 0\n" for tag in TOKENS))
    run(
        f"littlebird-prepare qa --dataset {name} --train {gold} --test {gold} --tokenizer {data}/vocab/gpt2_bpe "
        f"--dict {words} --max-tokens {tokens} --stride {tokens // 2} --destdir {folder}/prepared "
        "--overwrite",
        folder / "prepare.log",
    )
    updates = updates or sample.updates
    run(
        f"fairseq-train {folder}/prepared --user-dir fairseq_littlebird --task question_answering "
        f"--criterion question_answering --span-head qass {MODELS[model]} --optimizer adam --adam-betas (0.9,0.98) "
        f"--clip-norm 1.0 --lr 4e-3 --lr-scheduler polynomial_decay --warmup-updates 50 --total-num-update {updates} "
        f"--max-update {updates} --batch-size {sample.batch} --unanswered-windows 0.2 --disable-validation --seed 1 "
        f"--num-workers 0 --no-epoch-checkpoints --save-interval 100000 --log-format json --log-interval 50 "
        f"--save-dir {folder}/model",
        folder / "train.log",
    )
    return scores(name, folder, gold)


def overfit_reviews(data: Path, folder: Path, model: str, updates: int) -> dict[str, Any]:
    """The scores of a classifier of 64 movie reviews, read from a folder with a subfolder for each label."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(data / "classification/movie_reviews.zip") as archive:
        for label in ("neg", "pos"):
            names = sorted(n for n in archive.namelist() if n.startswith(f"movie_reviews/{label}/") and n[-1] != "/")
            archive.extractall(folder, names[:32])
    texts, tokenizer = folder / "movie_reviews", data / "vocab/gpt2_bpe"
    run(
        f"littlebird-prepare classification --train {texts} --test {texts} --tokenizer {tokenizer} "
        f"--dict {tokenizer}/dict.txt --max-tokens 1024 --destdir {folder}/prepared --overwrite",
        folder / "prepare.log",
    )
    run(
        f"fairseq-train {folder}/prepared --user-dir fairseq_littlebird --task littlebird_sentence_prediction "
        f"--criterion littlebird_classification {MODELS[model]} --optimizer adam --adam-betas (0.9,0.98) "
        f"--clip-norm 1.0 --lr 1e-3 --max-update {updates} --batch-size 8 --disable-validation --seed 1 "
        "--num-workers 0 --no-epoch-checkpoints --save-interval 100000 --log-format json "
        f"--save-dir {folder}/model",
        folder / "train.log",
    )
    return scores("classification", folder, folder / "prepared/test.gold.json")


def scores(name: str, folder: Path, gold: Path) -> dict[str, Any]:
    """What the trained model answers, as littlebird-evaluate scores it."""
    run(
        f"littlebird-predict {folder}/prepared --path {folder}/model/checkpoint_last.pt --output {folder}/predictions "
        "--overwrite",
        folder / "predict.log",
    )
    text = run(
        f"littlebird-evaluate --dataset {name} --gold {gold} --json "
        f"--predictions {folder}/predictions/predictions.json",
        folder / "evaluate.log",
    )
    return json.loads(text.splitlines()[-1])


def simplified(record: dict[str, Any]) -> dict[str, Any]:
    """A record of TyDi QA, byte offsets into plain text, in Natural Questions' simplified format, in tokens."""
    plain = record["document_plaintext"].encode()
    places = [match.span() for match in re.finditer(rb"\S+", plain)]

    def tokens(item: dict[str, int]) -> dict[str, int]:
        start, end = item["plaintext_start_byte"], item["plaintext_end_byte"]
        inside = [i for i, (a, b) in enumerate(places) if a < end and b > start]
        return {"start_token": inside[0], "end_token": inside[-1] + 1} if inside else dict(start_token=-1, end_token=-1)

    candidates = [tokens(item) for item in record["passage_answer_candidates"]]
    annotations = [
        {
            "long_answer": {"start_token": -1, "end_token": -1}
            | (candidates[index] if (index := item["passage_answer"]["candidate_index"]) >= 0 else {})
            | {"candidate_index": index},
            "short_answers": [t for t in [tokens(item["minimal_answer"])] if t["start_token"] >= 0],
            "yes_no_answer": item["yes_no_answer"],
        }
        for item in record["annotations"]
    ]
    return {
        "example_id": record["example_id"],
        "question_text": record["question_text"],
        "document_title": record["document_title"],
        "document_text": b" ".join(plain.split()).decode(),
        "long_answer_candidates": candidates,
        "annotations": annotations,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_sets", nargs="*", metavar="DATA_SET", help=f"of {', '.join(SAMPLES)}; all without")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", choices=MODELS, default="littlebird", help="etc and longformer: structured input")
    parser.add_argument("--updates", type=int, help="instead of each data set's own number")
    parser.add_argument("--records", type=int, help="of HotpotQA or WikiHop at most")
    parser.add_argument("--max-tokens", type=int, help="of a window, instead of each data set's own number")
    options = parser.parse_args()
    data, out = options.data.resolve(), options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    shutil.unpack_archive(data / "triviaqa/triviaqa-sample.tgz", out / "triviaqa")
    lines = (data / "tydiqa/tiny_dev.jsonl").read_text("utf-8").splitlines()
    (out / "nq.jsonl").write_text("".join(json.dumps(simplified(json.loads(line))) + "\n" for line in lines))
    rows = []
    for name in options.data_sets or SAMPLES:
        found = overfit(name, data, out, options)
        figure = SAMPLES[name].figure
        rows.append(f"| {name} | {figure} | {SAMPLES[name].scale * found[figure]:.1f} |")
        print(rows[-1], found, flush=True)
    print("\n".join(["| data set | figure | % |", "|---|---|---|", *rows]))


if __name__ == "__main__":
    main()

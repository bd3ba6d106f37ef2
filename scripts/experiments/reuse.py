"""What reusing a short-input model brings: the measurements of docs/results.md, each in the shape of the paper's.

    python reuse.py prepare --source MODEL --text DIR --out DIR     corpus, teacher, students
    python reuse.py curves  --out DIR --seeds 1 2   random start, warm start, warm start and distillation
    python reuse.py table1  --out DIR --seeds 1 2   RSS accuracy by input length
    python reuse.py table6  --out DIR --seeds 1 2 --reviews ZIP --questions TRAIN DEV    beyond 512 tokens
    python reuse.py table8  --out DIR --seeds 1 2 --questions TRAIN DEV    one part left out at a time
    python reuse.py slopes  --out DIR --seeds 1 2   table 8's "- pack" by the slopes' learning rate
    python reuse.py qa      --out DIR --seeds 1 2 --questions TRAIN DEV    whole articles against windows
    python reuse.py report  --out DIR [--plot docs/reuse.png]       every figure so far, medians and ranges

Every step is a command line of fairseq-train, fairseq-validate or littlebird-…, printed before it runs. What is there
already is not run again, so a measurement can be interrupted, and takes up the runs of the others.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairseq_littlebird.text.tokenizers import FILES, load_tokenizer

ROOT = Path(__file__).resolve().parents[2]
SHORT, BATCH = 512, 2048  # tokens of a short input, and of a batch
HEAD, CURVE, DISTIL, RSS, LONGER, READ = 500, 80, 50, 70, 40, 300  # updates
LENGTHS, QUESTIONS, REVIEWS = (512, 1024, 1536, 2048), 60, 64  # what table 6 is tested on
VALIDATE_EVERY = 20
DISTILLATION = "--criterion littlebird_distillation --soft-weight 1 --attention-weight 1 --attention-queries 128"
PADDING = "--padding-insertion"
SLOPES, SCALES = "littlebird_adam", (20, 1)  # of the slopes' learning rate, beside its default
ABLATIONS = {  # table 8: how the student is made, and what it is told
    "littlebird": "",
    "no-bialibi": "--positions learned --max-positions 16384",
    "no-window": "--no-window",
    "no-pack": "--pack-size 0",
}


class Bench:
    """A folder of runs and ``results.json``.

    Args:
        out: the folder.
        threads: of each process.
        scale: of the numbers of updates; the source's head is trained the same at any scale.
    """

    def __init__(self, out: Path, threads: int, scale: float = 1.0) -> None:
        self.out, self.scale = out, scale
        self.environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
        self.results_path = out / "results.json"

    def results(self) -> dict[str, Any]:
        return json.loads(self.results_path.read_text()) if self.results_path.exists() else {}

    def keep(self, key: str, value: Any) -> None:
        """Adds one figure, and shows it."""
        with (self.out / "lock").open("w") as lock:  # seeds may run side by side
            fcntl.flock(lock, fcntl.LOCK_EX)
            text = json.dumps(self.results() | {key: value}, indent=1, sort_keys=True)
            new = self.results_path.with_suffix(f".{os.getpid()}")
            new.write_text(text + "\n")
            new.replace(self.results_path)
        print(f"  {key}: {value}", flush=True)

    def run(self, command: str, log: Path) -> str:
        """What the command writes; its last lines, and an end, where it fails."""
        print("+", command, flush=True)
        words = shlex.split(command)
        words[:1] = (
            [sys.executable, words[0]] if words[0].endswith(".py") else [str(Path(sys.executable).parent / words[0])]
        )
        with log.open("w") as file:
            done = subprocess.run(words, cwd=ROOT, env=self.environment, stdout=file, stderr=subprocess.STDOUT)
        text = log.read_text()
        if done.returncode:
            sys.exit("\n".join(line[:300] for line in text.splitlines()[-15:]) + f"\n{log}: status {done.returncode}")
        return text

    def made(self, name: str) -> bool:
        return (self.out / name).exists()

    def folder(self, name: str, command: str) -> Path:
        """A folder that ``command`` makes; ``{}`` in it stands for the folder."""
        path = self.out / name
        with (self.out / "lock-folder").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                self.run(command.replace("{}", str(path)), self.out / f"{name.replace('/', '-')}.log")
        return path

    def train(
        self,
        name: str,
        data: Path,
        updates: int,
        options: str,
        tokens: int = SHORT,
        start: Path | None = None,
        optimizer: str = "adam",
    ) -> Path:
        """The last checkpoint of a training run; JSON lines of its log stay beside it."""
        save, log = self.out / name, self.out / f"{name}.log"
        checkpoint = save / "checkpoint_last.pt"
        updates = max(1, round(updates * self.scale)) if name != "head" else updates
        if not (save / "done").exists():
            save.mkdir(parents=True, exist_ok=True)
            begin = f"--finetune-from-model {start}" if start else ""
            self.run(
                f"fairseq-train {data} --user-dir {ROOT}/fairseq_littlebird {options} {begin} --save-dir {save} "
                f"--optimizer {optimizer} --adam-betas (0.9,0.98) --clip-norm 1.0 --lr-scheduler polynomial_decay "
                f"--warmup-updates {updates // 10} --total-num-update {updates} --max-update {updates} "
                f"--batch-size {max(1, BATCH // tokens)} --required-batch-size-multiple 1 --dropout 0 "
                "--attention-dropout 0 --num-workers 1 --no-epoch-checkpoints --no-save-optimizer-state "
                "--log-format json --log-interval 10",
                log,
            )
            (save / "done").touch()
        return checkpoint

    def validate(self, key: str, checkpoint: Path, data: Path, options: str) -> dict[str, float]:
        """The figures of a validation, kept under ``key``.

        fairseq-validate keeps to the criterion of the checkpoint; one update at a learning rate of 0 does not.
        """
        if key not in self.results():
            text = self.run(
                f"fairseq-train {data} --user-dir {ROOT}/fairseq_littlebird --finetune-from-model {checkpoint} "
                f"{options} --optimizer adam --lr 0 --max-update 1 --no-save --required-batch-size-multiple 1 "
                "--num-workers 1 --log-format json --dropout 0 --attention-dropout 0",
                self.out / f"validate-{key.replace('/', '-')}.log",
            )
            valid = next(r for r in reversed(records(text)) if any("_loss" in k and "train" not in k for k in r))
            self.keep(key, {k: float(v) for k, v in valid.items() if "_" in k and number(v)})
        return self.results()[key]


def records(text: str) -> list[dict[str, Any]]:
    """The JSON lines of a fairseq log."""
    return [json.loads(found) for found in re.findall(r"\| (\{\".*\})$", text, re.MULTILINE)]


def number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def prepare(bench: Bench, source: str, text: str) -> None:
    """The corpus, the teacher with an LM head, and the students that start from it."""
    bench.folder("corpus", f"scripts/text_corpus.py --input {text} --out {{}}")
    bare = bench.folder("bare", f"littlebird-warm-start --from {source} --to full --out {{}}")
    for split in ("train", "valid"):
        bench.folder(
            f"{split}.tok",
            f"littlebird-prepare text --tokenizer {bare} --input {bench.out}/corpus/{split}.txt --output {{}}",
        )
    first_part(bench.out / "valid.tok", bench.out / "held-out.tok")
    data = bench.folder(
        "text",
        f"fairseq-preprocess --only-source --srcdict {bare}/dict.txt --trainpref {bench.out}/train.tok "
        f"--validpref {bench.out}/held-out.tok --destdir {{}} --workers 2",
    )
    head = bench.train(
        "head",
        data,
        HEAD,
        f"--task littlebird_masked_lm --criterion masked_lm --tokens-per-sample {SHORT} {sizes(bare)} --lr 5e-4 "
        "--seed 1 --max-valid-steps 25",
        start=bare / "checkpoint.pt",
    )
    for name in FILES:  # littlebird-warm-start reads them beside the checkpoint
        if (bare / name).exists():
            shutil.copy(bare / name, head.parent)
    teacher = bench.folder("teacher", f"littlebird-warm-start --from {head} --to full --out {{}}")
    words = (
        f"--task littlebird_masked_lm --criterion masked_lm --tokens-per-sample {SHORT} --batch-size 4 {sizes(bare)}"
    )
    bench.validate("teacher/mlm", teacher / "checkpoint.pt", data, words)
    for name, options in ABLATIONS.items():
        bench.folder(f"students/{name}", f"littlebird-warm-start --from {head} {options} --out {{}}")


def first_part(source: Path, target: Path, tokens: int = 10_000) -> None:
    """Each document's beginning: enough to measure on, and quick."""
    if target.exists():
        return
    parts = []
    for document in source.read_text().split("\n\n"):
        lines, count = [], 0
        for line in document.splitlines():
            if count < tokens:
                lines.append(line)
                count += len(line.split())
        parts.append("\n".join(lines))
    target.write_text("\n\n".join(parts) + "\n")


def optimizer(student: str) -> str:
    """The students that have slopes let them learn faster."""
    return SLOPES if student in ("littlebird", "no-pack") else "adam"


def sizes(folder: Path) -> str:
    """The model's options, as littlebird-warm-start wrote them."""
    return (folder / "model.args").read_text().strip()


def curves(bench: Bench, seed: int) -> None:
    """Held-out masked-LM loss by update, and attention KL by layer, from three starts."""
    data, student, teacher = bench.out / "text", bench.out / "students/littlebird", bench.out / "teacher/checkpoint.pt"
    common = (
        f"--task littlebird_masked_lm --tokens-per-sample {SHORT} {sizes(student)} --lr 5e-4 --seed {seed} "
        f"--max-valid-steps 6 --validate-interval-updates {VALIDATE_EVERY}"
    )
    alone, distilled = "--criterion masked_lm", f"{DISTILLATION} --teacher-path {teacher}"
    start = student / "checkpoint.pt"
    kl = f"--task littlebird_masked_lm --tokens-per-sample {SHORT} --batch-size 4 {sizes(student)} {distilled}"
    bench.validate("curves/kl/start", start, data, kl)
    for arm, criterion, begin, optimizer in (
        ("distilled", distilled, start, SLOPES),
        ("warm", alone, start, SLOPES),
        ("random", alone, None, SLOPES),
        ("distilled-adam", distilled, start, "adam"),  # slopes at everybody's learning rate
        ("warm-adam", alone, start, "adam"),
        ("random-adam", alone, None, "adam"),
    ):
        name = f"curves-{arm}-{seed}"
        last = bench.train(name, data, CURVE, f"{common} {criterion}", start=begin, optimizer=optimizer)
        log = records((bench.out / f"{name}.log").read_text())
        loss = "valid_hard_loss" if criterion == distilled else "valid_loss"
        bench.keep(
            f"curves/loss/{arm}/{seed}", [[int(r["valid_num_updates"]), float(r[loss])] for r in log if loss in r]
        )
        bench.validate(f"curves/kl/{arm}/{seed}", last, data, kl)


def distilled(bench: Bench, student: str, seed: int, insertion: str = PADDING, scale: int = 0) -> Path:
    """Step 2: distillation, then the span task, both at 512 tokens: model A of table 1.

    Args:
        scale: of the slopes' learning rate in the span task; 0 for the default.
    """
    data, teacher = bench.out / "text", bench.out / "teacher/checkpoint.pt"
    options = f"{sizes(bench.out / 'students' / student)} --tokens-per-sample {SHORT} {insertion} --seed {seed}"
    options += " --disable-validation --lr 5e-4"
    tag = f"{student}{'' if insertion else '-no-pi'}-{seed}"
    words = bench.train(
        f"distil-{tag}",
        data,
        DISTIL,
        f"--task littlebird_masked_lm {DISTILLATION} --teacher-path {teacher} {options}",
        start=bench.out / "students" / student / "checkpoint.pt",
        optimizer=optimizer(student),
    )
    return bench.train(
        f"rss-{tag}{f'-slopes-{scale}' if scale else ''}",
        data,
        RSS,
        f"--task recurring_span_selection --criterion recurring_span_selection {options}"
        + (f" --slopes-lr-scale {scale}" if scale else ""),
        start=words,
        optimizer=optimizer(student),
    )


def accuracy(bench: Bench, key: str, checkpoint: Path, student: str, lengths: Sequence[int]) -> None:
    """RSS accuracy on held-out text in chunks of each length."""
    options = sizes(bench.out / "students" / student)
    for length in lengths:
        bench.validate(
            f"{key}/{length}",
            checkpoint,
            bench.out / "text",
            "--task recurring_span_selection --criterion recurring_span_selection --batch-size 1 "
            f"--tokens-per-sample {length} {options}",
        )


def table1(bench: Bench, seed: int) -> None:
    """A: distilled at 512. B: A, trained on at 2K, with and without padding insertion."""
    start = distilled(bench, "littlebird", seed)
    accuracy(bench, f"table1/A/{seed}", start, "littlebird", (512, 2048, 4096))
    for name, insertion in (("B", ""), ("B+PI", PADDING)):
        longer = bench.train(
            f"longer-{name}-{seed}",
            bench.out / "text",
            LONGER,
            f"--task recurring_span_selection --criterion recurring_span_selection --lr 2e-4 --tokens-per-sample 2048 "
            f"{insertion} --seed {seed} --disable-validation {sizes(bench.out / 'students/littlebird')}",
            tokens=2048,
            start=start,
            optimizer=SLOPES,
        )
        accuracy(bench, f"table1/{name}/{seed}", longer, "littlebird", (512, 2048, 4096))


def table6(bench: Bench, seed: int, reviews: str | None, rate: float, updates: int, questions: Sequence[str]) -> None:
    """Trained at 512 with and without padding insertion, tested up to four times as long.

    Args:
        rate, updates: learning rate and length of the training on reviews.
    """
    start = distilled(bench, "littlebird", seed)
    for name, insertion in (("512", ""), ("512+PI", PADDING)) if questions else ():
        reader = tune(bench, f"{name}-{seed}", start, "littlebird", seed, questions, insertion)
        for length in LENGTHS:
            answers(bench, f"table6/questions/{name}/{seed}/{length}", reader, length, questions, length)
    if not reviews:
        return
    data = bench.folder(
        "reviews",
        f"scripts/movie_reviews.py --data {reviews} --tokenizer {bench.out}/teacher --out {{}} "
        f"--lengths {','.join(map(str, LENGTHS))} --train-length {SHORT} --items {REVIEWS}",
    )
    task = "--task littlebird_sentence_prediction --criterion sentence_prediction --num-classes 2"
    model = sizes(bench.out / "students/littlebird")
    for arm, insertion in (("512", ""), ("512+PI", PADDING)):
        name = f"{arm}-{rate:g}-{updates}"
        classifier = bench.train(
            f"reviews-{name}-{seed}",
            data,
            updates,
            f"{task} {model} {insertion} --seed {seed} --disable-validation --lr {rate:g}",
            start=start,
            optimizer=SLOPES,
        )
        for length in LENGTHS:
            options = f"{task} {model} --batch-size 4 --valid-subset test{length}"
            bench.validate(f"table6/reviews/{name}/{seed}/{length}", classifier, data, options)


def table8(bench: Bench, seed: int, questions: Sequence[str]) -> None:
    """One part left out at a time: RSS accuracy, and answers about 2,048 tokens if there are questions."""
    for student in ABLATIONS:
        ablation(bench, student, student, seed, questions, PADDING)
    ablation(bench, "no-pi", "littlebird", seed, questions, "")


def ablation(bench: Bench, name: str, student: str, seed: int, questions: Sequence[str], insertion: str) -> None:
    start = distilled(bench, student, seed, insertion)
    accuracy(bench, f"table8/{name}/{seed}", start, student, (512, 2048))
    if not questions:
        return
    known = {"littlebird": "512+PI"}.get(name, f"table8-{name}")  # table 6 has that one
    reader = tune(bench, f"{known}-{seed}", start, student, seed, questions, insertion)
    answers(bench, f"table8/{name}/{seed}/questions", reader, 2048, questions, 2048)


def slopes(bench: Bench, seed: int) -> None:
    """Table 8's RSS accuracy with the pack and without, where the slopes move more slowly after distillation."""
    for scale in SCALES:
        for student in ("littlebird", "no-pack"):
            start = distilled(bench, student, seed, scale=scale)
            accuracy(bench, f"slopes/{scale}x/{student}/{seed}", start, student, (512, 2048))


def qa(bench: Bench, seed: int, questions: Sequence[str]) -> None:
    """Whole articles at once, against the source model in windows of 512 tokens with stride 128."""
    start = distilled(bench, "littlebird", seed)
    reader = tune(bench, f"512+PI-{seed}", start, "littlebird", seed, questions, PADDING)  # table 6 has it too
    answers(bench, f"qa/littlebird/{seed}", reader, 16384, questions)
    windows = tune(bench, f"windows-{seed}", bench.out / "teacher/checkpoint.pt", "teacher", seed, questions, "")
    answers(bench, f"qa/windows/{seed}", windows, SHORT, questions)


def tune(
    bench: Bench, name: str, start: Path, student: str, seed: int, questions: Sequence[str], insertion: str
) -> Path:
    """A reader of windows of 512 tokens, nine in ten of them with the answer."""
    folder = bench.out / ("teacher" if student == "teacher" else f"students/{student}")
    head = "linear" if student == "teacher" else "qass"
    return bench.train(
        f"reader-{name}",
        asked(bench, SHORT, 128, questions),
        READ,
        f"--task question_answering --criterion question_answering --span-head {head} {sizes(folder)} {insertion} "
        f"--seed {seed} --disable-validation --lr 3e-4",
        start=start,
        optimizer=optimizer(student),
    )


def asked(bench: Bench, length: int, stride: int, questions: Sequence[str], document: int = 0) -> Path:
    """The questions in windows of ``length`` tokens. The last file is for testing; see :func:`answerable`."""
    gold = answerable(bench, questions, document)
    train = "" if document else f"--train {gold.parent / 'train.json'}"
    return bench.folder(
        f"questions-{document or 'whole'}-{length}",
        f"littlebird-prepare qa --dataset squad --join-articles {train} --test {gold} --tokenizer {bench.out}/teacher "
        f"--dict {bench.out}/teacher/dict.txt --max-tokens {length} --stride {stride} --workers 2 --destdir {{}}",
    )


def answerable(bench: Bench, questions: Sequence[str], document: int) -> Path:
    """``QUESTIONS`` test questions that have an answer, about whole articles or ``document`` tokens around the answer.

    train.json beside it has all the training questions with an answer.
    """
    folder = bench.out / "squad"
    folder.mkdir(exist_ok=True)
    path = folder / f"test-{document or 'whole'}.json"
    if path.exists():
        return path
    articles = [[a for a in json.loads(Path(f).read_text())["data"]] for f in questions]
    for article in (a for file in articles for a in file):
        for paragraph in article["paragraphs"]:
            paragraph["qas"] = [q for q in paragraph["qas"] if q["answers"] and not q.get("is_impossible")]
    train, test = [a for file in articles[:-1] for a in file], articles[-1]
    (folder / "train.json").write_text(json.dumps({"version": "", "data": train}))
    there = [(a, n, q) for a in test for n, p in enumerate(a["paragraphs"]) for q in p["qas"]]
    chosen = [there[n * len(there) // QUESTIONS] for n in range(min(QUESTIONS, len(there)))]
    count = load_tokenizer(bench.out / "teacher").tokenize
    data = []
    for article, n, question in chosen:
        texts = [p["context"] for p in article["paragraphs"]]
        first, last = around(n, [len(count(text)) for text in texts], document - 64) if document else (0, len(texts))
        parts = [{"context": texts[m], "qas": [question] if m == n else []} for m in range(first, last)]
        data.append({"title": article["title"], "paragraphs": parts})
    path.write_text(json.dumps({"version": "", "data": data}))
    return path


def around(n: int, lengths: Sequence[int], room: int) -> tuple[int, int]:
    """The paragraphs [first, last) about the n-th that fit into ``room`` tokens, added before and after in turn."""
    first, last, used = n, n + 1, lengths[n]
    while True:
        before = first > 0 and used + lengths[first - 1] <= room
        after = last < len(lengths) and used + lengths[last] <= room
        if before and (n - first <= last - n or not after):
            first -= 1
            used += lengths[first]
        elif after:
            used += lengths[last]
            last += 1
        else:
            return first, last


def answers(bench: Bench, key: str, checkpoint: Path, length: int, questions: Sequence[str], document: int = 0) -> None:
    """EM and F1 of the answers, read in windows of ``length`` tokens with an overlap of three quarters."""
    if key in bench.results():
        return
    windows = asked(bench, length, length // 4, questions, document)
    gold, name = answerable(bench, questions, document), key.replace("/", "-")
    predictions = bench.out / "predictions" / name
    if not predictions.exists():
        bench.run(
            f"littlebird-predict {windows} --path {checkpoint} --gen-subset test --output {predictions}",
            bench.out / f"predict-{name}.log",
        )
    text = bench.run(
        f"littlebird-evaluate --dataset squad --gold {gold} --predictions {predictions}/predictions.json "
        f"--null-odds {predictions}/null_odds.json --json",
        bench.out / f"evaluate-{name}.log",
    )
    bench.keep(key, json.loads(text[text.index("{") :]))


def report(bench: Bench, plot: str | None) -> None:
    """Medians and ranges over the seeds."""
    groups: dict[str, list[Any]] = {}
    for key, value in bench.results().items():
        name = "/".join(part for part in key.split("/") if not (part.isdecimal() and int(part) < 10))
        groups.setdefault(name, []).append(value)
    for name, values in groups.items():
        if isinstance(values[0], list):
            print(name, *(f"\n  {value}" for value in values))
            continue
        for figure in values[0]:
            these = [value[figure] for value in values if number(value.get(figure))]
            if these and figure not in ("epoch",):
                print(f"{name}  {figure}: {statistics.median(these):.3f}  [{min(these):.3f} – {max(these):.3f}]")
    if plot:
        draw(bench.results(), Path(plot))


def draw(results: dict[str, Any], path: Path) -> None:
    """Held-out masked-LM loss by update."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.5, 4.5))
    names = {
        "random": "random start",
        "warm": "warm start",
        "distilled": "warm start and distillation",
    }
    for (arm, label), colour in zip(names.items(), ("#888888", "#d95f02", "#1b9e77"), strict=True):
        for suffix, style, note in (("", "-", ""), ("-adam", "--", ", plain Adam")):
            runs = [points for key, points in results.items() if key.startswith(f"curves/loss/{arm}{suffix}/")]
            for n, points in enumerate(runs):
                axes.plot(*zip(*points, strict=True), color=colour, linestyle=style, label=None if n else label + note)
    if "teacher/mlm" in results:
        axes.axhline(results["teacher/mlm"]["valid_loss"], color="black", linestyle=":", label="teacher")
    axes.set(xlabel=f"updates of {BATCH} tokens", ylabel="held-out masked-LM loss, bits")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("prepare", "curves", "table1", "table6", "table8", "slopes", "qa", "report"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--source", help="the short-input model, as for littlebird-warm-start")
    parser.add_argument("--text", help="folder of texts")
    parser.add_argument("--reviews", help="movie_reviews.zip; table6 leaves them out without")
    parser.add_argument("--reviews-lr", type=float, default=5e-5, help="(%(default)s)")
    parser.add_argument("--reviews-updates", type=int, default=300, help="(%(default)s)")
    parser.add_argument("--questions", nargs="+", default=[], help="files in SQuAD format, the last one for testing")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of updates (%(default)s)")
    parser.add_argument("--plot", help="PNG to draw the curves to")
    options = parser.parse_args()
    for folder in ("students", "predictions"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    bench = Bench(options.out.resolve(), options.threads, options.scale)
    if options.what == "prepare":
        prepare(bench, options.source, options.text)
    elif options.what == "report":
        report(bench, options.plot)
    for seed in options.seeds if options.what in ("curves", "table1", "table6", "table8", "slopes", "qa") else ():
        if options.what == "curves":
            curves(bench, seed)
        elif options.what == "table1":
            table1(bench, seed)
        elif options.what == "table6":
            table6(bench, seed, options.reviews, options.reviews_lr, options.reviews_updates, options.questions)
        elif options.what == "table8":
            table8(bench, seed, options.questions)
        elif options.what == "slopes":
            slopes(bench, seed)
        else:
            qa(bench, seed, options.questions)


if __name__ == "__main__":
    main()

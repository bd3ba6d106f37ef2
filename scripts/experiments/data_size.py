"""Memory by the size of the data set, what opening one takes, and the speed of preparing beside the tokenizer's own.

    python data_size.py make --documents 2000 --tokens 12000 --text FOLDER --tokenizer DIR --out data
    python data_size.py prepare --tokenizer DIR --workers 1 2 --out data
    python data_size.py train --updates 200 --out data
    python data_size.py predict --out data
    python data_size.py open --examples 1000000 --out sizes

``DIR`` is of ``littlebird-prepare tokenizer``. ``make`` writes documents.json (SQuAD's format) from paragraphs of
the folder's ``.txt`` files in random order, one question a document; ``prepare`` qa, ``train`` model, ``predict``
answers. ``open`` makes a data set of so many examples of each task, of 512 tokens each, whose tokens are holes in their
files, and gives it to the task. Each but the first prints a Markdown table.

Memory is the proportional set size, summed over the command's processes and sampled twice a second: a page that
several of them hold counts once, and a page of a mapped file counts as well. Rates are per second of wall time, of
calls whose imports are done, each in a process of its own, the rounds interleaved; the tokenizer's own are of
``encode`` on one process, over the first documents. Opening has a process of its own a task, whose imports are not
counted; its memory is the highest that the process held (``VmHWM``).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_littlebird.datasets.question_files import read_questions
from fairseq_littlebird.text.tokenizers import Tokenizer, load_tokenizer

ROOT = Path(__file__).resolve().parents[2]
SAMPLED = 0.5  # seconds from one look at the memory to the next
LONGEST_PARAGRAPH = 300  # words
MODEL = (
    "--arch littlebird_tiny --encoder-layers 1 --encoder-embed-dim 16 --encoder-ffn-embed-dim 32 "
    "--encoder-attention-heads 2 --pack-size 8 --block-size 64"
)


@dataclass(frozen=True, order=True)
class Memory:
    """MiB of processes together: all, and without the pages of files."""

    total: float
    anonymous: float

    def __str__(self) -> str:
        return f"{self.total:,.0f} ({self.anonymous:,.0f})"


@dataclass(frozen=True)
class Run:
    """Seconds of wall time and of processors, megabytes of text and tokens gone through, memory."""

    wall: float
    cpu: float
    megabytes: float
    tokens: float
    peak: Memory


def paragraphs(folder: Path, tokenizer: Tokenizer) -> list[tuple[str, int]]:
    """The paragraphs of a folder's text files, each in one line, and how many tokens each has."""
    found = []
    for file in sorted(folder.rglob("*.txt")):
        for paragraph in re.split(r"\n\s*\n", file.read_text("utf-8", errors="replace")):
            words = paragraph.split()
            if 10 <= len(words) <= LONGEST_PARAGRAPH:
                text = " ".join(words)
                found.append((text, len(tokenizer.tokenize(f"{text}\n"))))
    if not found:
        raise SystemExit(f"{folder}: no .txt file with paragraphs")
    return found


def document(parts: list[tuple[str, int]], number: int, tokens: int, seed: int = 1) -> dict[str, Any]:
    """An article in SQuAD's format: random paragraphs up to ``tokens`` tokens, and one sentence that is asked for."""
    rng = random.Random(f"{seed} {number}")
    texts, length = [], 0
    while length < tokens:
        text, count = rng.choice(parts)
        texts.append(text)
        length += count
    answer = " ".join(rng.choice(rng.choice(parts)[0].split()).strip(".,;:!?\"'()_*-") or "nothing" for _ in range(2))
    lead = f"The word of document {number} is "
    at = rng.randrange(len(texts) + 1)
    start = sum(len(text) + 1 for text in texts[:at]) + len(lead)
    context = "\n".join([*texts[:at], f"{lead}{answer}.", *texts[at:]])
    question = {
        "id": f"{number}",
        "question": f"What is the word of document {number}?",
        "answers": [{"text": answer, "answer_start": start}],
    }
    return {"title": f"Document {number}", "paragraphs": [{"context": context, "qas": [question]}]}


def make(options: argparse.Namespace) -> None:
    tokenizer = load_tokenizer(options.tokenizer, options.tokenizer / "dict.txt")
    parts = paragraphs(options.text, tokenizer)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "documents.json"
    with path.open("w", encoding="utf-8") as stream:
        stream.write('{"version": "synthetic", "data": [')
        for number in range(options.documents):
            article = document(parts, number, options.tokens, options.seed)
            stream.write((",\n" if number else "\n") + json.dumps(article, ensure_ascii=False))
        stream.write("\n]}\n")
    print(f"{path}: {options.documents:,} documents, {path.stat().st_size / 2**20:,.0f} MiB")


def prepare(options: argparse.Namespace) -> None:
    folder, tokenizer = options.out / "qa", options.tokenizer
    words = f"qa --dataset squad --train {options.out / 'documents.json'} --tokenizer {tokenizer} "
    words += f"--dict {tokenizer / 'dict.txt'} --destdir {folder} --overwrite "
    words += f"--max-tokens {options.max_tokens} --stride {options.stride} --workers "
    calls = {"tokenizer alone": ["encode", options.out / "documents.json", tokenizer, options.sample]}
    calls |= {f"prepare, {n} worker{'s' * (n > 1)}": ["prepare", *words.split(), n] for n in options.workers}
    print(f"littlebird-prepare {words}N\n")
    runs: dict[str, list[Run]] = {name: [] for name in calls}
    for _ in range(options.rounds):
        for name, call in calls.items():
            said, peak = watched([sys.executable, __file__, "call", *map(str, call)])
            runs[name].append(Run(*map(float, said.split()[-4:]), peak))  # type: ignore[arg-type]
            print(name, runs[name][-1], file=sys.stderr, flush=True)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{runs[name][0].tokens / 1e6:,.1f} M tokens, prepared folder {size / 2**20:,.0f} MiB\n")
    print("| | s | range | MB of text/s | 1,000 tokens/s | of tokenizer × workers | CPU s per M tokens | peak MiB |")
    print("|---|---|---|---|---|---|---|---|")
    own = 0.0
    for n, (name, done) in zip([1, *options.workers], runs.items(), strict=True):
        wall, cpu = (statistics.median(getattr(run, what) for run in done) for what in ("wall", "cpu"))
        rate = done[0].tokens / wall
        own = own or rate
        spread = f"{min(run.wall for run in done):.1f} – {max(run.wall for run in done):.1f}"
        share = f"{rate / own / n:.0%}" if name != "tokenizer alone" else ""
        peak = max(run.peak for run in done)
        print(
            f"| {name} | {wall:.1f} | {spread} | {done[0].megabytes / wall:.2f} | {rate / 1e3:,.0f} | {share} "
            f"| {cpu / done[0].tokens * 1e6:.2f} | {peak} |"
        )


def call(options: argparse.Namespace) -> None:
    """One timed call; prints the numbers of a :class:`Run` but the memory."""
    what, *words = options.words
    if what == "encode":
        path, folder, sample = words
        tokenizer = load_tokenizer(folder, Path(folder) / "dict.txt")
        texts = [example.document for example in islice(read_questions("squad", path), int(sample))]
        begun = spent()
        tokens = sum(len(tokenizer.encode(text)[0]) for text in texts)
        ended = spent()
        size = sum(len(text.encode()) for text in texts)
    elif what == "open":
        print(*opened(*words))
        return
    else:
        from fairseq_littlebird.cli.prepare import main as littlebird_prepare
        from fairseq_littlebird.data.prepared import read_settings  # imports all there is before the clock starts

        begun = spent()
        littlebird_prepare(words)
        ended = spent()
        folder = words[words.index("--destdir") + 1]
        tokens = read_settings(folder)["splits"]["train"]["tokens"]
        size = (Path(folder) / "train.documents.bin").stat().st_size
    print(ended[0] - begun[0], ended[1] - begun[1], size / 1e6, tokens)


TASKS = {
    "littlebird_masked_lm": "text --criterion masked_lm --tokens-per-sample 512",
    "recurring_span_selection": "text --criterion recurring_span_selection --tokens-per-sample 512",
    "question_answering": "questions --criterion question_answering",
    "littlebird_sentence_prediction": "classes --criterion littlebird_classification --num-classes 2",
}
LENGTH = 512  # tokens of an example


def open_all(options: argparse.Namespace) -> None:
    """The table of ``open``."""
    make_holes(options.out, options.examples)
    print(f"{options.examples:,} examples\n")
    print("| task | s to open | s to the first batch | MiB after imports | to open | to the first batch |")
    print("|---|---|---|---|---|---|")
    for task in TASKS:
        said, _ = watched([sys.executable, __file__, "call", "open", task, str(options.out)])
        opening, batch, *memories = map(float, said.split()[-5:])
        print(f"| `{task}` | {opening:.2f} | {batch:.2f} | " + " | ".join(f"{m:,.0f}" for m in memories) + " |")


def make_holes(out: Path, examples: int) -> None:
    """``text``, ``questions`` and ``classes`` below ``out``: index files, and data files that take no room."""
    from fairseq_littlebird.checkpoints.dictionary import dictionary_symbols
    from fairseq_littlebird.data.prepared import PARTS, VERSION
    from fairseq_littlebird.text.window import SYMBOLS

    words = "".join(f"w{n} 1\n" for n in range(1000)) + ". 1\n"
    for name in ("text", "questions", "classes/input0", "classes/label"):
        (out / name).mkdir(parents=True, exist_ok=True)
        (out / name / "dict.txt").write_text(words)
    holes(out / "text" / "train", np.uint16, np.full(examples, LENGTH - 1))  # and the token before each
    holes(out / "classes" / "input0" / "train", np.uint16, np.full(examples, LENGTH - 1))
    holes(out / "classes" / "label" / "train", np.uint16, np.full(examples, 2))
    known = dictionary_symbols(words.encode(), "dict.txt")
    symbols = {symbol: known.index(symbol) for symbol in SYMBOLS}
    settings = {"version": VERSION, "dataset": "squad", "symbols": symbols, "answer_types": []}
    (out / "questions" / "prepared.json").write_text(json.dumps(settings))
    sizes = {"offsets": 2 * LENGTH, "examples": 200, "questions": 12, "spans": 3, "segments": 1, "windows": 3}
    for part, kind in PARTS.items():
        holes(out / "questions" / f"train.{part}", kind, np.full(examples, sizes.get(part, LENGTH)))
    windows = np.zeros((examples, 3), np.int32)
    windows[:, 0], windows[:, 2] = np.arange(examples), LENGTH - 16
    windows.tofile(out / "questions" / "train.windows.bin")
    record = json.dumps({"document": 0}).ljust(sizes["examples"])
    (out / "questions" / "train.examples.bin").open("r+b").write(record.encode())


def holes(path: Path, kind: Any, sizes: np.ndarray) -> None:
    """A memory-mapped data set of items of these sizes, all zero."""
    from fairseq.data.indexed_dataset import MMapIndexedDataset, _dtype_header_code

    width = np.dtype(kind).itemsize
    ends = np.cumsum(sizes, dtype=np.int64) * width
    with path.with_name(f"{path.name}.idx").open("wb") as index:
        index.write(MMapIndexedDataset.Index._HDR_MAGIC)
        index.write(struct.pack("<QBQ", 1, _dtype_header_code(kind), len(sizes)))
        index.write(sizes.astype(np.int32).tobytes())
        index.write((ends - sizes * width).tobytes())
    with path.with_name(f"{path.name}.bin").open("wb") as data:
        data.truncate(int(ends[-1]))


def opened(task: str, out: str) -> list[float]:
    """Seconds to open a data set and from then to the first batch; MiB at most before, at the one and at the other."""
    from fairseq import options, tasks, utils
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    from fairseq_littlebird import register

    register()
    folder, *own = TASKS[task].split()
    words = [f"{out}/{folder}", "--user-dir", str(ROOT / "fairseq_littlebird"), "--task", task, *own]
    words += ["--arch", "littlebird_tiny", "--padding-insertion", "--cpu", "--batch-size", "8"]
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), words))
    utils.import_user_module(cfg.common)
    built = tasks.setup_task(cfg.task)
    memories, times = [highest()], [time.perf_counter()]
    built.load_dataset("train", training=True)
    memories.append(highest())
    times.append(time.perf_counter())
    batches = built.get_batch_iterator(built.dataset("train"), max_sentences=8).next_epoch_itr()
    next(iter(batches))
    memories.append(highest())
    times.append(time.perf_counter())
    return [times[1] - times[0], times[2] - times[1], *memories]


def highest() -> float:
    """MiB that this process held at most; a child's ``ru_maxrss`` would begin with its parent's."""
    return int(re.findall(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[0]) / 1024


def spent() -> tuple[float, float]:
    """Seconds of wall time, and of processors by this process and those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used)


def train(options: argparse.Namespace) -> None:
    words = f"fairseq-train {options.out / 'qa'} --user-dir {ROOT / 'fairseq_littlebird'} --task question_answering "
    words += f"--criterion question_answering {MODEL} --optimizer adam --lr 1e-3 --batch-size {options.batch} "
    words += f"--max-update {options.updates} --disable-validation --num-workers {options.loaders} "
    words += f"--save-dir {options.out / 'model'} --no-epoch-checkpoints --cpu --log-format none"
    shutil.rmtree(options.out / "model", ignore_errors=True)
    report(words)


def predict(options: argparse.Namespace) -> None:
    folder = options.out / "qa"
    for file in folder.glob("train.*"):  # the same questions as a split to answer
        link = folder / file.name.replace("train", "test", 1)
        link.unlink(missing_ok=True)
        os.link(file, link)
    words = f"littlebird-predict {folder} --path {options.out / 'model' / 'checkpoint_last.pt'} --overwrite "
    words += f"--output {options.out / 'answers'} --num-workers {options.loaders} --max-tokens {options.max_tokens}"
    report(words)


def report(words: str) -> None:
    print(f"{words}\n", flush=True)
    begun = time.perf_counter()
    program, *arguments = words.split()
    said, peak = watched([str(Path(sys.executable).parent / program), *arguments])
    print(said.splitlines()[-1] if said else "")
    print("\n| | s | peak MiB |\n|---|---|---|")
    print(f"| {program} | {time.perf_counter() - begun:.1f} | {peak} |")


def watched(words: list[str]) -> tuple[str, Memory]:
    """What a command prints, and the most memory that it and the processes below it hold."""
    peak = Memory(0, 0)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(process.communicate)
        while not said.done():
            peak = max(peak, memory(process.pid))
            time.sleep(SAMPLED)
    out, errors = said.result()
    if process.returncode:
        raise SystemExit(f"{' '.join(words)}\n{errors[-4000:]}")
    return out, peak


def memory(process: int) -> Memory:
    """What a process and all those below it hold now."""
    total, anonymous = 0, 0
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text("ascii")
        total, anonymous = (int(text.split(f"\n{name}:")[1].split()[0]) for name in ("Pss", "Pss_Anon"))
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text("ascii").split()]
    except (OSError, IndexError):  # it has ended
        children = []
    parts = [memory(child) for child in children]
    return Memory(total / 1024 + sum(p.total for p in parts), anonymous / 1024 + sum(p.anonymous for p in parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runs = {"make": make, "prepare": prepare, "train": train, "predict": predict, "open": open_all}
    parts = {name: commands.add_parser(name) for name in runs}
    for name, part in parts.items():
        part.set_defaults(run=runs[name])
        part.add_argument("--out", type=Path, required=True, metavar="DIR")
    for name in ("make", "prepare"):
        parts[name].add_argument("--tokenizer", type=Path, required=True, metavar="DIR")
    parts["make"].add_argument("--documents", type=int, default=500)
    parts["make"].add_argument("--tokens", type=int, default=12000, help="of a document, about")
    parts["make"].add_argument("--text", type=Path, required=True, metavar="FOLDER")
    parts["make"].add_argument("--seed", type=int, default=1)
    parts["prepare"].add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parts["prepare"].add_argument("--rounds", type=int, default=3)
    parts["prepare"].add_argument("--sample", type=int, default=500, help="documents of the tokenizer alone")
    parts["prepare"].add_argument("--max-tokens", type=int, default=2048, help="of a window")
    parts["prepare"].add_argument("--stride", type=int, default=2000)
    parts["train"].add_argument("--updates", type=int, default=200)
    parts["train"].add_argument("--batch", type=int, default=8)
    parts["predict"].add_argument("--max-tokens", type=int, default=32768, help="encoded together")
    parts["open"].add_argument("--examples", type=int, default=1_000_000)
    for name in ("train", "predict"):
        parts[name].add_argument("--loaders", type=int, default=1, help="processes that load data")
    if sys.argv[1:2] == ["call"]:  # a process of prepare's own
        call(argparse.Namespace(words=sys.argv[2:]))
        return
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()

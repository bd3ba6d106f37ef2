"""Whether memory grows: of a long training with its data workers, and of answers by the length of the document.

    python soak.py watch --minutes 60 --csv soak.csv -- littlebird-launch text-bin … --num-workers 2
    python soak.py slopes soak.csv
    python soak.py lengths --text text.txt --tokenizer DIR --path CHECKPOINT --out FOLDER

``watch`` starts a command, looks at the memory of each of its processes, and ends it with SIGTERM after so long.
``slopes`` fits a line to the samples by least squares: of the first process by the run's time; of those below it, each
by its own age with a height of its own, and their means by the run's time. ``lengths`` prepares documents of so many
tokens, a question each, and answers them with ``littlebird-predict``, a process a length.

Memory is resident, of which the anonymous part is what a process does not share with a file.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from fairseq_littlebird.text.tokenizers import load_tokenizer

LENGTHS = (1, 10, 100, 1_000, 3_000, 10_000, 30_000, 100_000)


@dataclass(frozen=True)
class Sample:
    """A process at one moment; seconds since the command began, memory in MiB."""

    seconds: float
    process: int
    below: int
    """0: the command itself; 1: what it started, and so on."""
    resident: float
    anonymous: float


@dataclass(frozen=True)
class Slope:
    """MiB an hour of a group of processes."""

    resident: float
    anonymous: float
    first: float
    """Mean resident MiB in the first tenth of the time."""
    last: float
    """In the last tenth."""


def processes(root: int) -> Iterator[tuple[int, int, float, float]]:
    """Number, depth, resident and anonymous MiB of a process and of all below it."""
    pending = [(root, 0)]
    while pending:
        number, depth = pending.pop()
        folder = Path(f"/proc/{number}")
        try:
            text = (folder / "smaps_rollup").read_text("ascii")
            tasks = [(task / "children").read_text("ascii") for task in (folder / "task").iterdir()]
        except OSError:  # it has ended
            continue
        found = [re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE) for name in ("Rss", "Anonymous")]
        if all(found):
            resident, anonymous = (int(match[1]) / 1024 for match in found if match)
            yield number, depth, resident, anonymous
        pending += [(int(child), depth + 1) for children in tasks for child in children.split()]


def watch(options: argparse.Namespace) -> int:
    """The command's exit status, or 0 where it was ended here."""
    begun, limit = time.monotonic(), 60 * options.minutes
    running = subprocess.Popen(options.command)
    try:
        with options.csv.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow([field.name for field in fields(Sample)])
            while running.poll() is None and time.monotonic() - begun < limit:
                seconds = round(time.monotonic() - begun, 1)
                for number, depth, resident, anonymous in processes(running.pid):
                    writer.writerow(astuple(Sample(seconds, number, depth, round(resident, 2), round(anonymous, 2))))
                stream.flush()
                time.sleep(options.every)
        ended_here = running.poll() is None
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGTERM)
    status = running.wait()
    slopes(options)
    return 0 if ended_here else status


def read(path: Path) -> list[Sample]:
    with path.open(newline="") as stream:
        rows = csv.DictReader(stream)
        return [
            Sample(float(r["seconds"]), int(r["process"]), int(r["below"]), float(r["resident"]), float(r["anonymous"]))
            for r in rows
        ]


def slopes(options: argparse.Namespace) -> None:
    found = read(options.csv)
    found = [sample for sample in found if sample.seconds >= 60 * options.skip]
    if not found:
        raise SystemExit(f"{options.csv}: no samples after {options.skip} minutes; choose fewer with --skip")
    first, below = ([s for s in found if bool(s.below) == later] for later in (False, True))
    minutes = (found[-1].seconds - found[0].seconds) / 60
    print(f"{minutes:.0f} minutes, {len({s.process for s in below})} processes below\n")
    print("| | MiB an hour | anonymous | MiB at first | at last |\n|---|---|---|---|---|")
    groups = {"the process itself": (first, False)}
    if below:
        groups |= {
            "those below, mean by the run's time": (below, False),
            "those below, by their own age": (below, True),
        }
    for name, (samples, aged) in groups.items():
        line = slope(samples, aged)
        print(f"| {name} | {line.resident:+.2f} | {line.anonymous:+.2f} | {line.first:.1f} | {line.last:.1f} |")


def slope(samples: Sequence[Sample], aged: bool = False) -> Slope:
    """A line by least squares.

    Args:
        samples: one or more.
        aged: by each process's own age, each with a height of its own, instead of by the time of the run.
    """
    series: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        series[sample.process if aged else 0].append(sample)
    squares, products = 0.0, {"resident": 0.0, "anonymous": 0.0}
    for part in series.values():
        hours = [sample.seconds / 3600 for sample in part]
        middle = sum(hours) / len(hours)
        squares += sum((hour - middle) ** 2 for hour in hours)
        for name in products:
            products[name] += sum(
                (hour - middle) * getattr(sample, name) for hour, sample in zip(hours, part, strict=True)
            )
    by_hour = {name: product / squares if squares else 0.0 for name, product in products.items()}
    times = [
        (s.seconds - part[0].seconds) / (part[-1].seconds - part[0].seconds or 1)
        for part in series.values()
        for s in part
    ]
    heights = [s.resident for part in series.values() for s in part]
    early, late = (
        [height for at, height in zip(times, heights, strict=True) if inside(at)]
        for inside in (lambda at: at <= 0.1, lambda at: at >= 0.9)
    )
    return Slope(by_hour["resident"], by_hour["anonymous"], sum(early) / len(early), sum(late) / len(late or [1]))


def lengths(options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    bin_folder, text = Path(sys.executable).parent, options.text.read_text("utf-8")
    tokenizer = load_tokenizer(options.tokenizer, options.tokenizer / "dict.txt")
    ends = [end for _, end in tokenizer.encode(text)[1]]
    print("| tokens | documents | s of processor | ms a 1,000 tokens | peak MiB | answers |\n|---|---|---|---|---|---|")
    least = 0.0
    for length in options.lengths:
        count = max(1, min(10, options.tokens // length))
        copies = -(-length // len(ends))
        whole = text * (copies - 1) + text[: ends[(length - 1) % len(ends)]]
        questions = [{"id": f"{n}", "question": f"What is number {n}?", "answers": []} for n in range(count)]
        paragraphs = [{"context": whole, "qas": [question]} for question in questions]
        file, folder = options.out / f"{length}.json", options.out / f"{length}"
        file.write_text(json.dumps({"version": "v2.0", "data": [{"title": "", "paragraphs": paragraphs}]}), "utf-8")
        window = ["--max-tokens", f"{length + 1000}", "--stride", f"{length}"]
        words = ["--tokenizer", f"{options.tokenizer}", "--dict", f"{options.tokenizer}/dict.txt", "--overwrite"]
        prepare = [f"{bin_folder}/littlebird-prepare", "qa", "--dataset", "squad", "--test", f"{file}"]
        spend([*prepare, *words, *window, "--destdir", f"{folder}"])
        predict = [f"{bin_folder}/littlebird-predict", f"{folder}", "--path", f"{options.path}", "--overwrite"]
        seconds, peak = spend([*predict, "--device", "cpu", "--output", f"{folder}/answers"])
        answers = json.loads((folder / "answers" / "predictions.json").read_text("utf-8"))
        least = least or seconds
        rate = 1e6 * (seconds - least) / (count * length)
        shown = f"{rate:,.1f}" if length >= 1000 else ""
        print(f"| {length:,} | {count} | {seconds:.1f} | {shown} | {peak:,.0f} | {len(answers)} |", flush=True)


def spend(words: Sequence[str]) -> tuple[float, float]:
    """Seconds of processor and highest resident MiB of a command, which must not fail."""
    peak = 0
    with tempfile.TemporaryFile("w+") as errors:
        running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=errors)
        status = Path(f"/proc/{running.pid}/status")
        while not (ended := os.wait4(running.pid, os.WNOHANG))[0]:
            # ru_maxrss will not do: a child's starts at its parent's peak
            peak = max([peak, *map(int, re.findall(r"VmHWM:\s*(\d+)", status.read_text()))])
            time.sleep(0.02)
        running.returncode = os.waitstatus_to_exitcode(ended[1])
        if running.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(words)}\n{errors.read()[-4000:]}")
    return ended[2].ru_utime + ended[2].ru_stime, peak / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    watching = commands.add_parser("watch")
    watching.set_defaults(run=watch)
    watching.add_argument("--minutes", type=float, default=60)
    watching.add_argument("--every", type=float, default=5, metavar="SECONDS")
    watching.add_argument("--csv", type=Path, required=True, metavar="FILE")
    watching.add_argument("command", nargs="+", metavar="COMMAND")
    fitting = commands.add_parser("slopes")
    fitting.set_defaults(run=slopes)
    fitting.add_argument("csv", type=Path, metavar="FILE")
    asking = commands.add_parser("lengths")
    asking.set_defaults(run=lengths)
    asking.add_argument("--text", type=Path, required=True, metavar="FILE", help="what documents are made of")
    asking.add_argument("--tokenizer", type=Path, required=True, metavar="DIR")
    asking.add_argument("--path", type=Path, required=True, metavar="CHECKPOINT", help="of question answering")
    asking.add_argument("--out", type=Path, required=True, metavar="DIR")
    asking.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, metavar="N", help="tokens of a document")
    asking.add_argument("--tokens", type=int, default=100_000, help="of a length at least, in up to ten documents")
    for part in (watching, fitting):
        part.add_argument("--skip", type=float, default=5, metavar="MINUTES", help="left out, at the beginning")
    options = parser.parse_args()
    sys.exit(options.run(options))


if __name__ == "__main__":
    main()

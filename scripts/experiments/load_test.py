"""littlebird-serve under load: clients that ask without a pause, and what became of their questions.

    python load_test.py quickstart/qa-model --questions quickstart/corpus/test.json --clients 50 --seconds 120

starts a server on a free port of this machine, asks the questions of a file in SQuAD format about their own documents
in random order, and ends the server with SIGTERM while questions are still under way. A client that is refused with 429
waits as long as Retry-After says. Prints a table; fails where a response is neither 200 nor 429, a question is lost at
the end, or the server ends with a status other than 0. What stands after ``--`` is passed to the server.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20
TIMEOUT = 300


@dataclass
class Load:
    """What the clients saw.

    Args:
        seconds: from sending a question to its answer, of those that were answered.
        statuses: number of responses of each status.
        waited: seconds that clients waited after a 429, together.
        memory: resident MiB of the server, once a second.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    waited: float = 0.0
    memory: list[float] = field(default_factory=list)


def bodies(path: Path, attention: bool) -> list[bytes]:
    """A request for each question of a file in SQuAD format."""
    data = json.loads(path.read_text("utf-8"))["data"]
    return [
        json.dumps(
            {"question": qa["question"], "documents": [{"text": paragraph["context"]}], "attention": attention}
        ).encode()
        for article in data
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]


def start(model: Path, options: Sequence[str]) -> tuple[subprocess.Popen[str], int]:
    """A server, and its port."""
    words = [sys.executable, "-m", "fairseq_littlebird.cli.serve", str(model), "--port", "0", *options]
    server = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert server.stderr
    for line in server.stderr:
        print(line, end="", file=sys.stderr)
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
            return server, int(found[1])
    raise SystemExit(f"the server ended with status {server.wait()}")


def client(port: int, requests: Sequence[bytes], seed: int, end: float, load: Load) -> None:
    """Asks until the time is over; a question that is under way then is still answered."""
    chance = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    while time.monotonic() < end:
        begun = time.monotonic()
        try:
            connection.request("POST", "/answer", chance.choice(requests), {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            print(f"client {seed}: {type(error).__name__} {error}", file=sys.stderr)
            load.statuses[0] += 1
            connection.close()
            continue
        load.statuses[response.status] += 1
        if response.status == 200:
            load.seconds.append(time.monotonic() - begun)
        elif response.status == 429:
            pause = min(float(response.headers["Retry-After"]), max(0.0, end - time.monotonic()))
            load.waited += pause
            time.sleep(pause)


def resident(process: int) -> float:
    """MiB."""
    pages = int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def batch_size(port: int) -> float:
    """Mean number of questions that the model answered together."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    found = dict(re.findall(r"^littlebird_batch_questions_(sum|count) (\S+)", text, re.MULTILINE))
    total, count = float(found["sum"]), float(found["count"])
    return total / max(1.0, count)


def percentile(values: Sequence[float], share: float) -> float:
    return statistics.quantiles(values, n=1000, method="inclusive")[round(1000 * share) - 1] if len(values) > 1 else 0.0


def run(options: argparse.Namespace, serve_options: Sequence[str]) -> int:
    requests = bodies(options.questions, options.attention)
    server, port = start(options.model, serve_options)
    load, begun = Load(), time.monotonic()
    end = begun + options.seconds
    threads = [
        threading.Thread(target=client, args=(port, requests, seed, end, load)) for seed in range(options.clients)
    ]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        load.memory.append(resident(server.pid))
        time.sleep(min(1.0, max(0.0, end - time.monotonic())))
    batch = batch_size(port)
    time.sleep(0.5)  # for questions on their way
    server.send_signal(signal.SIGTERM)  # what was asked is answered
    for thread in threads:
        thread.join()
    taken = time.monotonic() - begun
    status = server.wait()
    report(load, taken, batch, len(requests))
    return int(status != 0 or bool(set(load.statuses) - {200, 429}))


def report(load: Load, taken: float, batch: float, questions: int) -> None:
    answered = len(load.seconds)
    half = load.memory[len(load.memory) // 2 :]
    others = sum(number for status, number in load.statuses.items() if status not in (200, 429))
    rows = {
        "different questions": f"{questions:,}",
        "answered": f"{answered:,}",
        "a second": f"{answered / taken:.1f}",
        "refused with 429": f"{load.statuses[429]:,}",
        "other statuses, lost": f"{others:,}",
        "mean batch": f"{batch:.1f} questions",
        **{f"latency, {share:.0%}": f"{percentile(load.seconds, share):.2f} s" for share in (0.5, 0.9, 0.99)},
        "slowest": f"{max(load.seconds, default=0.0):.2f} s",
        "memory after a tenth of the time": f"{load.memory[len(load.memory) // 10]:.0f} MiB",
        "at half": f"{half[0]:.0f} MiB",
        "at the end": f"{half[-1]:.0f} MiB",
    }
    print("| | |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a training, or a checkpoint")
    parser.add_argument("--questions", type=Path, required=True, help="file in SQuAD format")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--attention", action="store_true", help="ask where the attention goes, too")
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:at])
    raise SystemExit(run(options, words[at + 1 :]))


if __name__ == "__main__":
    main()

"""Trainings by several workers, and the data sets' own files."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers.processes import COMMANDS, ForkServer, environment_with
from helpers.training import SIZES, TASKS, TRAINING

from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.text.html import TOKENS as HTML_TOKENS


@pytest.fixture
def launch_pair(launch: Callable[..., Any]) -> Callable[..., list[Any]]:
    """``launch_pair(task, save_dir, updates, *more)`` starts two workers that are told what torchrun tells its own."""

    def launch_pair(*arguments: Any) -> list[Any]:
        common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        ranks = [{"RANK": rank, "LOCAL_RANK": rank} | common for rank in ("0", "1")]
        return [launch(*arguments, workers=1, settings=own) for own in ranks]

    return launch_pair


@pytest.fixture
def launch(tiny: Path, forks: ForkServer, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """``launch(task, save_dir, updates, *more, workers=2)`` starts torchrun with littlebird-launch, or it alone.

    What it gives is a Popen, or its like, in a process group of its own, whose ``log`` is the file that everything is
    printed to. ``before`` are the words of a program that starts it; ``settings`` are variables of its environment;
    ``new_interpreter`` starts Python anew.
    """
    started: list[Any] = []

    def launch(
        task: str,
        save_dir: Path,
        updates: int,
        *more: Any,
        workers: int = 2,
        before: tuple[str, ...] = (),
        settings: Mapping[str, str] | None = None,
        new_interpreter: bool = False,
    ) -> Any:
        environment = environment_with({"PYTHONUNBUFFERED": "1"} | dict(settings or {}))
        folder, *options = TASKS[task].split()
        own = [folder, *options, *SIZES, *TRAINING, "--save-dir", save_dir, "--max-update", updates, *more]
        torchrun = [COMMANDS / "torchrun", "--no-python", f"--nproc_per_node={workers}", "--master_port", free_port()]
        words = [*map(str, [*before, *(torchrun if workers > 1 else []), COMMANDS / "littlebird-launch", *own])]
        log = tmp_path / f"log{len(started)}"
        log.touch()
        run: Any
        if before or workers > 1 or new_interpreter:
            with log.open("w") as file:
                run = subprocess.Popen(
                    words, cwd=tiny, env=environment, stdout=file, stderr=file, start_new_session=True
                )
        else:
            run = forks.start(words, log, log, tiny, environment)
        run.log = log
        started.append(run)
        return run

    yield launch
    for run in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# the data sets' own files, in the folder of real data
FILES = {
    "hotpotqa": "hotpotqa/distractor_100.json",
    "wikihop": "wikihop/sample.json",
    "korquad2": "korquad2/korquad2.1_dev_00.json",
    "korquad2 train": "korquad2/korquad2.1_train_00.json",
    "triviaqa": "triviaqa/qa/wikipedia-dev.json",
    "triviaqa web": "triviaqa/qa/web-dev.json",
    "natural_questions": "tydiqa/tiny_dev.jsonl",
}


@pytest.fixture(scope="session")
def gold(
    data_dir: Path, in_simplified_format: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The official file of each data set; of Natural Questions, records of TyDi QA in its format."""
    folder = tmp_path_factory.mktemp("triviaqa")
    shutil.unpack_archive(data_dir / "triviaqa" / "triviaqa-sample.tgz", folder / "triviaqa")
    files = {name: (folder if name.startswith("triviaqa") else data_dir) / path for name, path in FILES.items()}
    lines = files["natural_questions"].read_text("utf-8").splitlines()
    files["natural_questions"] = folder / "nq-dev.jsonl"
    records = [in_simplified_format(json.loads(line)) for line in lines]
    files["natural_questions"].write_text("".join(json.dumps(record) + "\n" for record in records))
    return files


@pytest.fixture(scope="session")
def prepared(gold: dict[str, Path], data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``prepared(name, max_tokens=4096)``: the folder of a data set's sample, as train and test."""
    made: dict[tuple[str, int], Path] = {}

    def make(name: str, max_tokens: int = 4096) -> Path:
        if (name, max_tokens) not in made:
            folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
            tokenizer = data_dir / "vocab" / "gpt2_bpe"  # of bytes: no token reaches past an answer into its particle
            words = folder / "dict.txt"
            shutil.copyfile(tokenizer / "dict.txt", words)
            with words.open("a", encoding="utf-8") as file:
                file.writelines(f"<{tag}> 0\n" for tag in HTML_TOKENS)
            arguments = ["--dataset", name.split()[0], "--train", f"{gold[name]}", "--test", f"{gold[name]}"]
            arguments += ["--tokenizer", f"{tokenizer}", "--dict", f"{words}", "--destdir", f"{folder}/out"]
            prepare(["qa", *arguments, "--max-tokens", f"{max_tokens}", "--stride", f"{max_tokens // 2}"])
            made[name, max_tokens] = folder / "out"
        return made[name, max_tokens]

    return make

"""What the experiments share: a folder of steps that are run once, and of their results."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Bench:
    """A folder of runs and ``results.json``; steps run on one thread and with low priority.

    Args:
        out: the folder.
        bf16: whether trainings compute in bfloat16.
    """

    def __init__(self, out: Path, *, bf16: bool = False) -> None:
        self.out = out.resolve()
        self.bf16 = bf16
        self.out.mkdir(parents=True, exist_ok=True)
        self.environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

    def results(self) -> dict[str, Any]:
        path = self.out / "results.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def keep(self, key: str, value: Any) -> None:
        """Adds one result, and shows it."""
        new = self.out / "results.new"
        new.write_text(json.dumps(self.results() | {key: value}, indent=1, sort_keys=True) + "\n")
        new.replace(self.out / "results.json")
        print(f"  {key}: {value}", flush=True)

    def run(self, command: str, log: str, mode: str = "w") -> str:
        """What the command prints; its last lines, and an end, where it fails.

        Args:
            command: of this environment, or a script of the repository.
            log: name of the file, without its ending, that keeps what it prints.
            mode: ``a`` to add to the file of an earlier run.
        """
        print("+", command, flush=True)
        words = shlex.split(command)
        own = ROOT / words[0] if words[0].endswith(".py") else Path(sys.executable).parent / words[0]
        words[:1] = [sys.executable, str(own)]
        path = self.out / f"{log}.log"
        with path.open(mode) as file:
            done = subprocess.run(
                words, cwd=ROOT, env=self.environment, stdout=file, stderr=subprocess.STDOUT, preexec_fn=lower_priority
            )
        text = path.read_text()
        if done.returncode:
            sys.exit("\n".join(line[:300] for line in text.splitlines()[-15:]) + f"\n{path}: status {done.returncode}")
        return text

    def folder(self, name: str, command: str) -> Path:
        """A folder that ``command`` makes; ``{}`` in it stands for the folder."""
        path = self.out / name
        if not path.exists():
            self.run(command.replace("{}", str(path)), name.replace("/", "-"))
        return path

    def training(self, name: str, data: Path, model: Path, start: Path, updates: int, own: str) -> Path:
        """The folder of a training, which goes on where it was stopped; its minutes are a result.

        Args:
            name: of the folder.
            data: the prepared text or texts.
            model: a folder of littlebird-warm-start, whose ``model.args`` say what is trained.
            start: the checkpoint whose parameters it begins with.
            updates: their number; the learning rate rises for a tenth of them, and falls to 0 in the others.
            own: its other options.
        """
        folder, arch = self.out / name, (model / "model.args").read_text().strip()
        own += " --bf16" * self.bf16
        if not (folder / "done").exists():
            begun = time.monotonic()
            self.run(
                f"fairseq-train {data} --user-dir fairseq_littlebird {arch} {own} --finetune-from-model {start} "
                f"--adam-betas '(0.9,0.98)' --clip-norm 1.0 --lr-scheduler polynomial_decay "
                f"--warmup-updates {updates // 10} --total-num-update {updates} --max-update {updates} "
                f"--attention-dropout 0 --num-workers 0 --cpu --keep-interval-updates 1 --no-epoch-checkpoints "
                f"--log-format json --log-interval 10 --save-dir {folder}",
                name,
            )
            self.keep(f"minutes/{name}", round((time.monotonic() - begun) / 60, 1))
            (folder / "done").touch()
        return folder


def lower_priority() -> None:
    """Of a process that is about to start, where the experiment itself was not started with one."""
    if os.nice(0) <= 0:
        os.nice(10)


def processor_seconds() -> float:
    """Of all commands so far that have ended: what other work on the machine does not change."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

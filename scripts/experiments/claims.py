"""The paper's claims, measured by a training of days: docs/experiments/claims.md is its ledger.

    python scripts/experiments/claims.py run --out DIR [--source MODEL] [--hours H]   goes on where it stopped
    python scripts/experiments/claims.py run --out DIR --scale evening --source MODEL   claim 1 alone, in an evening
    python scripts/experiments/claims.py run --out DIR --scale small   in hours, without a pretrained model
    python scripts/experiments/claims.py status --out DIR   what is done, what runs, hours to go
    python scripts/experiments/claims.py report --out DIR   figures and curves into docs/experiments/

DIR holds everything that is not committed: the text, checkpoints, logs, and a clone of this repository, so that a
change in the working tree cannot change a training that goes on; ``run --update-code`` moves it to the current commit.
Each step of the plan is a command line of this project or of fairseq, printed before it runs, with one thread and a
low priority. SIGTERM and Ctrl-C save a checkpoint first; after a kill the last one saved is taken up.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from claims_plan import SCALES, Step, steps
from claims_report import report

ROOT = Path(__file__).resolve().parent.parent.parent


class Runner:
    """Works through the plan in a folder.

    Args:
        out: the folder.
        data: the real data, as in tests.
        plan: the steps.
        bf16: whether trainings compute in bfloat16.
    """

    def __init__(self, out: Path, data: Path, plan: Sequence[Step], *, bf16: bool = False) -> None:
        self.out, self.data, self.code, self.plan, self.bf16 = out, data, out / "code", plan, bf16
        self.child: subprocess.Popen[bytes] | None = None
        self.stopped = False

    def stop(self, number: int, frame: object) -> None:
        """Tells the running command, which saves its state; nothing more is started."""
        self.stopped = True
        if self.child is not None:
            self.child.send_signal(signal.SIGTERM)

    def run(self, hours: float) -> None:
        """Runs what is not done, in the order of the plan, for so many hours at most."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        signal.signal(signal.SIGALRM, self.stop)
        signal.alarm(round(hours * 3600))
        for step in self.plan:
            if self.stopped:
                break
            if not self.done(step):
                self.execute(step)

    def execute(self, step: Step) -> None:
        command = self.words(step)
        log = self.out / "logs" / f"{step.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        print("+", shlex.join(command), flush=True)
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(self.code)}
        started, commit = time.time(), self.commit()
        with log.open("ab") as file:
            self.child = subprocess.Popen(
                ["nice", "-n", "10", *command],
                cwd=self.code,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            with suppress(OSError):  # where a session of its own has its own share, whatever its processes' priority
                Path(f"/proc/{self.child.pid}/autogroup").write_text("10")
            if self.stopped:  # the signal came while the process was started
                self.child.send_signal(signal.SIGTERM)
            status = self.child.wait()
        self.child = None
        line = {"step": step.name, "seconds": round(time.time() - started), "status": status, "commit": commit}
        with (self.out / "runs.jsonl").open("a") as file:
            file.write(json.dumps(line | {"finished": not status}) + "\n")
        if status and not self.stopped:
            sys.exit(f"{log}: status {status}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))
        if not status and not self.stopped:
            self.marker(step).parent.mkdir(parents=True, exist_ok=True)
            self.marker(step).touch()

    def words(self, step: Step) -> list[str]:
        """The command line, with the programs of this Python and the folders of this machine."""
        text = step.command.format(out=self.out, code=self.code, data=self.data)
        words = shlex.split(text)
        if words[0].endswith(".py"):
            return [sys.executable, *words]
        if self.bf16 and words[0] == "littlebird-launch":
            words += ["--bf16", *(("--teacher-precision", "bfloat16") if "--teacher-path" in words else ())]
        program = Path(sys.executable).parent / words[0]
        return [str(program), *words[1:]] if program.exists() else words

    def marker(self, step: Step) -> Path:
        return self.out / "done" / step.name

    def done(self, step: Step) -> bool:
        return self.marker(step).exists()

    def commit(self) -> str:
        return git("-C", str(self.code), "rev-parse", "--short", "HEAD")

    def get_code(self, update: bool) -> None:
        """Clones this repository at its commit, or moves the clone there."""
        if not self.code.exists():
            git("clone", "--quiet", "--no-hardlinks", str(ROOT), str(self.code))
        elif update:
            git("-C", str(self.code), "fetch", "--quiet", str(ROOT), "HEAD")
            git("-C", str(self.code), "checkout", "--quiet", "FETCH_HEAD")

    def status(self) -> None:
        spent = self.spent()
        for step in self.plan:
            state = "done" if self.done(step) else "begun" if step.name in spent else ""
            print(f"{step.name:40} {state:6} {spent.get(step.name, 0) / 3600:6.2f} h of some {step.hours:.1f}")
        left = sum(max(0.0, step.hours - spent.get(step.name, 0) / 3600) for step in self.plan if not self.done(step))
        done, hours = sum(map(self.done, self.plan)), sum(spent.values()) / 3600
        print(f"{done} of {len(self.plan)} steps done; {hours:.1f} h spent, some {left:.0f} h to go")

    def spent(self) -> dict[str, float]:
        """Seconds of each step so far, over all its runs."""
        path = self.out / "runs.jsonl"
        seconds: dict[str, float] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            record = json.loads(line)
            seconds[record["step"]] = seconds.get(record["step"], 0) + record["seconds"]
        return seconds


def remembered(out: Path, what: str, asked: str | None, default: str) -> str:
    """What the folder's first run was asked for; it stands there in a file.

    Args:
        what: name of the file.
        asked: now; None to take what the folder has.
    """
    file = out / what
    found = file.read_text().strip() if file.exists() else asked or default
    if asked not in (None, found):
        sys.exit(f"{out}: its {what} is {found}; name another folder for {asked}")
    file.write_text(f"{found}\n")
    return found


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "status", "report"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--scale", choices=SCALES, help="of the models and trainings; that of DIR's first run from then on (minilm)"
    )
    parser.add_argument("--seeds", nargs="+", choices=("1", "2"), help="these alone, for the first run (1 2)")
    parser.add_argument(
        "--bf16", action="store_true", help="train in bfloat16, for processors that are faster in it; for the first run"
    )
    parser.add_argument("--source", type=Path, metavar="FOLDER", help="the source model, for the first run")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="(%(default)s)")
    parser.add_argument("--hours", type=float, default=1000.0, help="of work at most, by the clock")
    parser.add_argument("--update-code", action="store_true", help="use the current commit from now on")
    options = parser.parse_args(arguments)
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    scale = remembered(out, "scale", options.scale, "minilm")
    precision = remembered(out, "precision", "bfloat16" if options.bf16 else None, "float32")
    seeds = remembered(out, "seeds", " ".join(options.seeds) if options.seeds else None, "1 2")
    plan = steps(scale, [int(seed) for seed in seeds.split()])
    runner = Runner(out, options.data.resolve(), plan, bf16=precision == "bfloat16")
    if options.what == "status":
        runner.status()
    elif options.what == "report":
        report(out, ROOT / "docs/experiments", SCALES[scale].batch)
    else:
        with (out / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sys.exit(f"{out}: another run is at work there")
            if scale != "small" and not (out / "source").exists():
                if options.source is None or not options.source.is_dir():
                    parser.error("give the source model's folder with --source")
                (out / "source").symlink_to(options.source.resolve())
            runner.get_code(options.update_code)
            runner.run(options.hours)


if __name__ == "__main__":
    main()

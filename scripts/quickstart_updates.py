"""The quickstart's updates for a given time: prints those of pretraining and of fine-tuning.

    python quickstart_updates.py LOG SECONDS [--workers N]

LOG is of a few updates of pretraining, SECONDS what is left for both trainings and the answers.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

WHOLE = (500, 1300)  # the quickstart's updates without --minutes
TUNING = 1.2  # an update of fine-tuning in updates of pretraining
ANSWERS = 80  # the answers, by one process, in updates of pretraining by one process
STARTS = 40.0  # seconds in which the trainings and what follows them start
LEAST = 10  # updates of each training


def speed(log: str) -> float:
    """Updates a second, of the last interval that a log tells of; 0 for none."""
    found = re.findall(r"\bups=([\d.]+)", log)
    return float(found[-1]) if found else 0.0


def updates(seconds: float, speed: float, workers: int) -> tuple[int, int]:
    """Those of pretraining and of fine-tuning, in the quickstart's proportion.

    Args:
        seconds: for both and for the answers.
        speed: updates of pretraining a second.
        workers: which train together; one answers.
    """
    left = (seconds - STARTS) * speed - ANSWERS * workers
    share = left / (WHOLE[0] + TUNING * WHOLE[1])
    pretraining, tuning = (max(LEAST, int(share * whole)) for whole in WHOLE)
    return pretraining, tuning


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("log", type=Path, metavar="LOG", help="fairseq-train's --log-file, with --log-format simple")
    parser.add_argument("seconds", type=float, metavar="SECONDS", help="for both trainings and the answers")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that train together")
    options = parser.parse_args()
    print(*updates(options.seconds, speed(options.log.read_text("utf-8")), options.workers))


if __name__ == "__main__":
    main()

"""Says when a training will end, soon after its first updates, and again when it has become later or sooner.

    python training_clock.py LOG UPDATES [--later N]

LOG is fairseq-train's --log-file with --log-format simple, UPDATES its --max-update. Ends with the shell that
started it. The speed is that of the last minutes, so other work on the machine moves the end and not the method.
With --later it also says when all will end that follows, which takes as long as N updates.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections import deque
from pathlib import Path

FIRST, BETWEEN, KEPT = 15.0, 120.0, 300.0  # seconds: before the first estimate, between two, and of the speed
MOVED = 0.2  # the share of what was left by which an end has to move to be told again


class Clock:
    """Turns what is seen of a training into lines.

    Args:
        updates: at which it ends.
    """

    def __init__(self, updates: int) -> None:
        self._updates, self._seen = updates, deque[tuple[float, int]]()
        self._told = self._first = float("-inf")
        self.end = float("-inf")  # the last that was told, in seconds of the clock
        self.seconds = 0.0  # an update then

    def see(self, now: float, done: int) -> str | None:
        """A line, if there is something to say.

        Args:
            now: seconds of the clock.
            done: updates so far; compiling and loading are over where there is one.
        """
        if done and (not self._seen or done > self._seen[-1][1]):
            self._first = now if not self._seen else self._first
            self._seen.append((now, done))
            while len(self._seen) > 2 and now - self._seen[0][0] > KEPT:
                self._seen.popleft()
        if len(self._seen) < 2 or now - self._first < FIRST or now - self._told < BETWEEN:
            return None
        (begun, before), (_, latest) = self._seen[0], self._seen[-1]
        # up to now, not to the last sight of an update: a training that has come to a stand gets later
        seconds = (max(now, self._seen[-1][0]) - begun) / (latest - before)
        left = (self._updates - latest) * seconds
        if left <= 0 or abs(now + left - self.end) < max(30.0, MOVED * left):
            return None
        self._told, self.end, self.seconds = now, now + left, seconds
        return f"{latest:,} of {self._updates:,} updates; at this speed it ends in {_duration(left)}"


def _duration(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    hours = f"{minutes // 60} h " if minutes >= 60 else ""
    return f"{hours}{minutes % 60 if hours else minutes} min"


def done(log: Path, start: int) -> int:
    """The updates that a log tells of past its byte ``start``; 0 for none."""
    try:
        with log.open("rb") as file:
            file.seek(max(start, file.seek(0, os.SEEK_END) - 20_000))
            found = re.findall(rb"num_updates=(\d+)", file.read())
    except OSError:
        return 0
    return int(found[-1]) if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("log", type=Path, metavar="LOG", help="fairseq-train's --log-file, with --log-format simple")
    parser.add_argument("updates", type=int, metavar="UPDATES", help="fairseq-train's --max-update")
    parser.add_argument("--later", type=int, default=0, metavar="N", help="updates that what follows takes as long as")
    options = parser.parse_args()
    log, updates = options.log, options.updates
    clock, parent = Clock(updates), os.getppid()
    start = log.stat().st_size if log.exists() else 0  # an earlier run's lines
    while os.getppid() == parent:
        time.sleep(1)
        if line := clock.see(time.monotonic(), done(log, start)):
            ends = f"at {_time(clock.end)}"
            if options.later:
                ends += f", and all that follows at about {_time(clock.end + options.later * clock.seconds)}"
            print(f"  {line}, {ends}", flush=True)


def _time(end: float) -> str:
    """Hour and minute of a second of the clock."""
    return time.strftime("%H:%M", time.localtime(time.time() + end - time.monotonic()))


if __name__ == "__main__":
    main()

"""Mean, standard deviation and median of the scores of trainings that differ in their seed.

    littlebird-evaluate ... --json > seed-1/scores.json
    python scripts/seed_scores.py seed-1/scores.json seed-2/scores.json

Each file is one JSON object of numbers. The deviation is that of a sample (n - 1).
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from fairseq_littlebird.errors import UserError, exit_on_user_error


@exit_on_user_error
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE", help="what littlebird-evaluate --json printed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found = summary([read(Path(file)) for file in options.files])
    print(json.dumps(found) if options.json else table(found, len(options.files)))


def read(path: Path) -> dict[str, float]:
    """The numbers of a file. Raises UserError where it has none."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UserError("not JSON", str(path), "give what littlebird-evaluate --json printed") from error
    items = content.items() if isinstance(content, dict) else ()
    numbers = {name: float(value) for name, value in items if isinstance(value, int | float)}
    if not numbers:
        raise UserError("no score in it", str(path), "give what littlebird-evaluate --json printed")
    return numbers


def summary(scores: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Score -> its mean, deviation (0 of one training) and median, of those that all trainings have."""
    names = [name for name in scores[0] if all(name in one for one in scores)]
    found = {}
    for name in names:
        values = [one[name] for one in scores]
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        found[name] = {"mean": statistics.mean(values), "deviation": deviation, "median": statistics.median(values)}
    return found


def table(found: dict[str, dict[str, float]], seeds: int) -> str:
    width = max(map(len, found))
    lines = [f"{'':<{width}}  mean ± deviation of {seeds} seeds, median"]
    for name, one in found.items():
        lines.append(f"{name:<{width}}  {one['mean']:.4f} ± {one['deviation']:.4f}, {one['median']:.4f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

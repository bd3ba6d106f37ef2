"""What a preparation says of each split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairseq_littlebird.data.answer_lengths import reach_line
from fairseq_littlebird.formats.questions.squad import SQUAD


def summary_lines(split: str, summary: Mapping[str, Any], *, trained: bool = True) -> list[str]:
    """What :func:`prepare_questions` counted, for people to read; ``trained`` where there is a train split."""
    lines = [
        f"{split}: {summary['read']:,} questions on {summary['documents']:,} documents read, "
        f"{summary['kept']:,} kept ({_answered(summary)}), "
        f"{sum(summary['dropped'].values()):,} dropped{reasons(summary['dropped'], ': ')}",
        f"{split}: {summary['windows']:,} windows; {summary['cut']:,} questions cut into several windows"
        + (f" ({summary['short_stride']:,} with a shorter stride)" if summary["short_stride"] else "")
        + f"; {summary['answered_windows']:,} windows hold an answer",
        f"{split}: {summary['answers']:,} answers in place, {summary['repaired']:,} of them repaired "
        f"({summary['nearest']:,} to the nearest of several places) and {summary['snapped']:,} grown to whole tokens; "
        + _found(summary)
        + f"{summary['lost']:,} not found; "
        f"{summary['unknown_share']:.3%} unknown tokens",
    ]
    if summary["untrainable"]:
        lines.append(
            f"{split}: kept for scoring only: {sum(summary['untrainable'].values()):,}"
            + reasons(summary["untrainable"], ": ")
        )
    if summary["formats"] not in ([], [SQUAD.name]):
        lines.insert(0, f"{split}: read as {', '.join(summary['formats'])}")
    if summary["skipped"]:
        lines.append(f"{split}: {summary['skipped']:,} bad records left out, named in report.jsonl")
    if summary["notes"]:
        lines.append(f"{split}: read leniently: {reasons({f'x {what}': n for what, n in summary['notes'].items()})}")
    if summary["unreachable"]:
        lines.append(f"{split}: {reach_line(summary, trained=trained)}")
    return lines


def _found(summary: Mapping[str, Any]) -> str:
    first = f" ({summary['first']:,} in the first of several places)" if summary["first"] else ""
    return f"{summary['found']:,} found by their text{first}; " if summary["found"] else ""


def _answered(summary: Mapping[str, Any]) -> str:
    unanswerable = f"{summary['unanswerable']:,} unanswerable"
    return unanswerable + (f", {summary['unlabelled']:,} without answers to score" if summary["unlabelled"] else "")


def reasons(counts: Mapping[str, int], lead: str = "") -> str:
    return lead + ", ".join(f"{count:,} {reason}" for reason, count in counts.items()) if counts else ""

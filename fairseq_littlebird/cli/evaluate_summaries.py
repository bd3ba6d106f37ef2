"""littlebird-evaluate --dataset rouge."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics.rouge import KINDS
from fairseq_littlebird.metrics.summaries import read_summaries, score_summaries

ROUGE = "rouge"


def evaluate_summaries(args: argparse.Namespace) -> None:
    """Prints the scores."""
    gold = read_summaries(args.gold)
    if args.predictions is None:
        print(f"{args.gold}: {len(gold):,} summaries")
        return
    predicted = read_summaries(args.predictions)
    missing = [name for name in gold if name not in predicted]
    if len(missing) == len(gold):
        what = f"no summary for any id of {args.gold}: an id here is {next(iter(predicted))!r}, there {missing[0]!r}"
        raise UserError(what, args.predictions, "give the gold and the predictions of the same documents")
    _warn(missing, "documents without a prediction, which score 0", args.predictions)
    _warn([name for name in predicted if name not in gold], f"ids that {args.gold} does not have", args.predictions)
    if not args.split_sentences and any("\n" in text for text in gold.values()):
        flat = [name for name, text in predicted.items() if "\n" not in text]
        if len(flat) == len(predicted):
            _warn(flat, "summaries of one line, so that rougeLsum takes each for one sentence: give --split-sentences",
                  args.predictions)  # fmt: skip
    scores = score_summaries(gold, predicted, args.stemmer, args.split_sentences)
    if args.json:
        print(json.dumps(scores | {"summaries": len(gold), "missing": len(missing)}))
        return
    for kind in KINDS:
        low, high = scores[f"{kind}_interval"]
        print(f"{kind:<9}  {scores[kind]:.2f}  [{low:.2f}, {high:.2f}]")
    print(f"summaries  {len(gold)}\nmissing    {len(missing)}")


def _warn(names: Sequence[str], what: str, where: str) -> None:
    if names:
        line = f"warning: {where}: {what}: {len(names)}, first {names[0]}"
        print(f"littlebird-evaluate: {' '.join(line.split())}", file=sys.stderr)

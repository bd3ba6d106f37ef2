"""littlebird-evaluate --dataset chromatin."""

from __future__ import annotations

import argparse
import json

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.label_groups import LabelGroups, read_label_groups

CHROMATIN = "chromatin"


def evaluate_chromatin(args: argparse.Namespace) -> None:
    """Prints the areas under the curves of each group of labels."""
    from fairseq_littlebird.metrics.label_areas import ArrayFile, by_group, label_areas

    labels = read_label_groups(args.groups) if args.groups else None
    count, width = ArrayFile(args.gold).shape
    if labels is None:
        names = tuple(str(number) for number in range(width))
        labels = LabelGroups(names, ("all",) * width, ())
    elif len(labels.names) != width:
        what = f"{len(labels.names):,} labels, but {width:,} in {args.gold}"
        raise UserError(what, args.groups, "give the table of the same labels")
    if args.predictions is None:
        print(json.dumps({"examples": count, "labels": width}) if args.json else f"{args.gold}: {count:,} examples")
        return
    areas = label_areas(args.gold, args.predictions)
    tables = {"auroc": by_group(labels.groups, areas.auroc), "auprc": by_group(labels.groups, areas.auprc)}
    if args.json:
        scores = {
            group: {"labels": one.labels, "undefined": one.undefined}
            | {f"{kind}_{name}": getattr(tables[kind][group], name) for kind in tables for name in ("median", "mean")}
            for group, one in tables["auroc"].items()
        }
        print(json.dumps({"groups": scores, "examples": count}))
        return
    print(f"{'group':<12}  labels  undefined  AUROC median    mean  AUPRC median    mean")
    for group, roc in tables["auroc"].items():
        prc = tables["auprc"][group]
        print(
            f"{group:<12}  {roc.labels:>6}  {roc.undefined:>9}  {roc.median:>12.4f}  {roc.mean:.4f}  "
            f"{prc.median:>12.4f}  {prc.mean:.4f}"
        )
    print(f"{count:,} examples; a label that no example has, or each one, is not defined")

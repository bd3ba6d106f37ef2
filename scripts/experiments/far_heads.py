"""Gives half of the heads of every layer slopes that look far, and counts the slopes of a checkpoint.

    python scripts/experiments/far_heads.py --checkpoint FILE --slope -0.01 --to FILE
    python scripts/experiments/far_heads.py --checkpoint FILE

The second half of the heads has ALiBi's smaller slopes; ``--slope`` puts β and γ there at this number. Without it, a
table says of each layer how many β and γ are below 0, near 0 (up to 0.01, so that a token 100 positions away keeps a
third of its weight) and above, for docs/experiments/claims.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

NEAR = 0.01


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--slope", type=float)
    parser.add_argument("--to", type=Path, help="where the changed checkpoint is written")
    options = parser.parse_args(arguments)
    state = torch.load(options.checkpoint, map_location="cpu", weights_only=True)
    slopes = {name: value for name, value in state["model"].items() if name.endswith((".slopes.beta", ".slopes.gamma"))}
    if options.slope is None:
        print(table(slopes))
        return
    for value in slopes.values():
        value[len(value) // 2 :] = options.slope
    options.to.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, options.to)


def table(slopes: dict[str, Tensor]) -> str:
    """How many slopes of each layer are below 0, near 0 and above.

    Args:
        slopes: name -> β or γ of a layer, <float>[H], in the order of the layers.
    """
    lines = ["| layer | below 0 | near 0 | above | smallest |", "|---|---|---|---|---|"]
    layers: dict[str, list[Tensor]] = {}
    for name, value in slopes.items():
        layers.setdefault(name.split(".slopes.")[0], []).append(value)
    for n, values in enumerate(layers.values(), start=1):
        of_layer = torch.cat(values)
        below, above = int((of_layer < -NEAR).sum()), int((of_layer > NEAR).sum())
        near = len(of_layer) - below - above
        lines.append(f"| {n} | {below} | {near} | {above} | {of_layer.min():.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

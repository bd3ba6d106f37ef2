"""Measures a checkpoint on held-out text, chunk by chunk, so that a figure can have an interval.

    python scripts/experiments/measure.py --checkpoint FILE --to FILE.json TEXT-BIN FAIRSEQ-TRAIN'S OPTIONS

Writes {"chunks": N, "FIGURE": [mean, low, high], …}: what the criterion logs, summed over the chunks and divided by
the targets that they hold (losses in bits, ``exact`` as accuracy in percent, ``attention_kl_N`` by query), with the
interval that holds 95 % of a bootstrap over the chunks. The chunks are the first of the split, the same for each
checkpoint; masks and questions are those of a validation.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from fairseq import checkpoint_utils, options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

import fairseq_littlebird

RESAMPLES = 1000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--split", default="valid", help="(%(default)s)")
    parser.add_argument("--chunks", type=int, default=256, help="of the split at most (%(default)s)")
    own, rest = parser.parse_known_args(arguments)
    fairseq_littlebird.register()
    rest += ["--user-dir", str(Path(fairseq_littlebird.__file__).parent), "--cpu", "--distributed-world-size", "1"]
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), rest))
    utils.import_user_module(cfg.common)
    logs = chunk_logs(cfg, checkpoint=own.checkpoint, split=own.split, chunks=own.chunks)
    own.to.parent.mkdir(parents=True, exist_ok=True)
    own.to.write_text(json.dumps({"chunks": len(logs)} | figures(logs)) + "\n")
    print(own.to.read_text(), end="")


def chunk_logs(cfg: Any, *, checkpoint: Path, split: str, chunks: int) -> list[dict[str, float]]:
    """What the criterion logs for each chunk of the split."""
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model)
    state = checkpoint_utils.load_checkpoint_to_cpu(str(checkpoint))
    model.load_state_dict(state["model"], strict=True, model_cfg=cfg.model)
    criterion = task.build_criterion(cfg.criterion)
    task.load_dataset(split)
    epoch = task.get_batch_iterator(task.dataset(split), max_sentences=1, max_positions=None, seed=1)
    model.eval()
    criterion.eval()
    logs = []
    with torch.no_grad():
        for _, sample in zip(range(chunks), epoch.next_epoch_itr(shuffle=False, set_dataset_epoch=False), strict=False):
            logs.append({k: float(v) for k, v in criterion(model, sample)[2].items()})
    return logs


def figures(logs: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    """Mean and 95 % interval of each figure."""
    found: dict[str, list[float]] = {}
    for name in sorted({name for log in logs for name in log}):
        of = "queries" if name.startswith("attention_kl_") else "sample_size"
        scale = 100 if name == "exact" else 1 / math.log(2)
        if name == "exact" or name.endswith("loss") or name.startswith("attention_kl_"):
            pairs = [(log.get(name, 0.0) * scale, log.get(of, 0.0)) for log in logs]
            found["accuracy" if name == "exact" else name] = with_interval(pairs, ratio)
    return found


def ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """Σ value / Σ weight; NaN where nothing weighs."""
    total = sum(weight for _, weight in pairs)
    return sum(value for value, _ in pairs) / total if total else math.nan


def with_interval(items: Sequence[Any], statistic: Callable[[Sequence[Any]], float]) -> list[float]:
    """The statistic of the items, and the bounds that hold 95 % of it over resampled items."""
    rng = random.Random(1)
    drawn = sorted(statistic(rng.choices(items, k=len(items))) for _ in range(RESAMPLES))
    low, high = drawn[round(0.025 * RESAMPLES)], drawn[round(0.975 * RESAMPLES) - 1]
    return [round(value, 4) for value in (statistic(items), low, high)]


if __name__ == "__main__":
    main()

"""The options of padding insertion, the same on every task (sections 3.4 and 4.4)."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fairseq.data import Dictionary
from fairseq.dataclass import FairseqDataclass

from fairseq_littlebird.data.dictionary import vocabulary
from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertion
from fairseq_littlebird.errors import UserError


@dataclass
class GapConfig(FairseqDataclass):
    """A mixin for a task that knows itself where gaps may be; the defaults are the paper's (section 4.4)."""

    padding_insertion: bool = field(
        default=False, metadata={"help": "train with padding insertion: gaps in the position ids at sentence ends"}
    )
    padding_insertion_probability: float = field(
        default=0.2, metadata={"help": "probability of a gap at each sentence end"}
    )
    padding_insertion_min: int = field(default=0, metadata={"help": "shortest gap, in positions"})
    padding_insertion_max: int = field(default=256, metadata={"help": "longest gap, in positions"})
    # persistent data workers would never see the next epoch
    reuse_dataloader: bool = field(default=False, metadata={"help": "must be off: masks and gaps change each epoch"})
    persistent_workers: bool = field(default=False, metadata={"help": "must be off, for the same reason"})
    # fairseq draws the order of the epoch that a run starts in, for all epochs: one that goes on later would differ
    rebuild_batches: bool = field(default=True, metadata={"help": "must be on: batches change each epoch"})


@dataclass
class PaddingInsertionConfig(GapConfig):
    """A mixin; gaps stand after tokens that end a sentence."""

    padding_insertion_after: str = field(
        default=".?!", metadata={"help": "characters that end a sentence, without separators"}
    )


def padding_insertion(
    cfg: Any, dictionary: Dictionary, folder: str | Path, training: bool, seed: int
) -> PaddingInsertion | None:
    """What the options ask for; None where it is evaluated.

    Raises:
        UserError: no token of the dictionary is a boundary, or the numbers make no sense.
    """
    if not cfg.padding_insertion or not training:
        return None
    boundary = vocabulary(dictionary, folder).sentence_end(cfg.padding_insertion_after)
    if not boundary.any():
        raise UserError(
            f"no token consists of {cfg.padding_insertion_after!r} alone, so nothing is ever inserted",
            str(Path(folder) / "dict.txt"),
            "choose other characters with --padding-insertion-after",
        )
    return gaps_after(boundary, cfg, training, seed)


def gaps_after(boundary: np.ndarray, cfg: Any, training: bool, seed: int) -> PaddingInsertion | None:
    """Gaps after the tokens ``boundary`` <bool>[V], as the options ask for; None where it is evaluated.

    Raises:
        UserError: the numbers make no sense.
    """
    if not cfg.padding_insertion or not training:
        return None
    if not 0 <= cfg.padding_insertion_probability <= 1:
        raise UserError("the probability of padding insertion is not within 0 and 1", remedy="choose 0.2")
    if not 0 <= cfg.padding_insertion_min <= cfg.padding_insertion_max:
        raise UserError(
            f"gaps from {cfg.padding_insertion_min} to {cfg.padding_insertion_max} positions", remedy="swap them"
        )
    return PaddingInsertion(
        boundary, cfg.padding_insertion_probability, cfg.padding_insertion_min, cfg.padding_insertion_max, seed
    )

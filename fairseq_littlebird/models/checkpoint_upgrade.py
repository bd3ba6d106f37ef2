"""Lets a checkpoint of one task start another."""

from __future__ import annotations

import logging

from torch import Tensor

from fairseq_littlebird.checkpoints.older_versions import refuse_older
from fairseq_littlebird.conversion.parameters import LM_HEAD, TOKENS
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.size_check import check_sizes
from fairseq_littlebird.models.start import Start
from fairseq_littlebird.models.task_heads import HEADS, TaskHeads

logger = logging.getLogger(__name__)


def fit_heads(model: TaskHeads, state_dict: dict[str, Tensor], used_for: str, start: Start | None) -> None:
    """Heads that only one of model and checkpoint has are newly initialised or stay out.

    Everything else must match; fairseq loads strictly. A model that does not train needs its heads.

    Args:
        model: whose heads are asked for.
        state_dict: of the checkpoint, changed in place.
        used_for: what a task that loads a checkpoint to use it needs its heads for; empty where they may be trained.
        start: the checkpoint that a training of one of fairseq's own tasks goes on from.
    Raises:
        UserError: the checkpoint's dictionary is not the data's, it lacks a head, it is of an older version, or of
            other sizes.
    """
    refuse_older(state_dict, "the checkpoint")
    table, here = state_dict.get(TOKENS), model.encoder.embeddings.tokens.weight
    if table is not None and len(table) != len(here):
        raise UserError(
            f"the checkpoint has {len(table)} tokens, the dictionary {len(here)}",
            "checkpoint and dict.txt",
            "use the dict.txt the checkpoint was trained with",
        )
    if table is not None and start is not None:
        start.check(TOKENS, table)
    own, lacking = model.state_dict(), []
    for head in HEADS:
        theirs = {k for k in state_dict if k.startswith(head)}
        ours = {k for k in own if k.startswith(head)}
        if ours == theirs and all(own[k].shape == state_dict[k].shape for k in ours):
            continue
        for key in theirs:
            del state_dict[key]
        if used_for and head == LM_HEAD:  # nothing but language modelling needs it, and that asks for it
            model.lm_head = None
            continue
        lacking += [head] if ours else []
        state_dict.update({k: own[k] for k in ours})
    if lacking and used_for:
        titles = " and no ".join(HEADS[head] for head in lacking)
        raise UserError(
            f"the checkpoint has no {titles} of the shape that {used_for} needs",
            remedy="fine-tune it for that first: fairseq-train --finetune-from-model",
        )
    check_sizes(state_dict, model.state_dict(), trained=not used_for)
    for head in lacking:
        logger.info("%s is not in the checkpoint in this shape: it is newly initialised", head[:-1])

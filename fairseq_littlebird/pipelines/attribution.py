"""Where the attention of an answer goes: the model run again over the window that gave it."""

from __future__ import annotations

from typing import Any

import torch

from fairseq_littlebird.attention.attribution import (
    full_attention_attribution,
    littlebird_attribution,
)
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inference.evidence import Explanation, answer_tokens, explanation
from fairseq_littlebird.inference.merging import Candidate
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.models.full_attention import FullAttentionModel
from fairseq_littlebird.models.littlebird import LittleBirdModel
from fairseq_littlebird.modules.config import LittleBirdConfig
from fairseq_littlebird.text.window import Window


def explains(model: EncoderModel) -> bool:
    """Whether :func:`explain` knows the model's attention."""
    return isinstance(model, (LittleBirdModel, FullAttentionModel))


def check_explained(model: EncoderModel) -> None:
    """Raises UserError where :func:`explain` knows nothing of the model's attention."""
    if not explains(model):
        raise UserError(
            f"where the attention of {model.title} goes is not known",
            remedy="take a model of LittleBird or of full attention",
        )


@torch.inference_mode()
def explain(
    model: EncoderModel, document: str, window: Window, answer: Candidate, passages: int = 8, pack_vectors: int = 4
) -> Explanation:
    """
    Args:
        model: question answering with LittleBird or full attention, in evaluation mode.
        document: the whole document.
        window: the one of number ``answer.window``, which gave the answer.
        answer: a span of the document.
        passages: as many at most.
        pack_vectors: as many at most.
    Raises:
        UserError: a model of another kind.
    """
    check_explained(model)
    device = next(model.parameters()).device
    inputs: dict[str, Any] = {
        name: torch.from_numpy(array)[None].to(device)
        for name, array in (("src_tokens", window.tokens), ("positions", window.positions))
        if array is not None
    }
    starts = torch.tensor([window.context_start], device=device)
    _, extra = model(**inputs, context_starts=starts, features_only=True, return_attention_internals=True)
    first, last = answer_tokens(window, answer.start, answer.end)
    config, layers = model.encoder.config, extra["attention_internals"]
    if isinstance(config, LittleBirdConfig):
        batch = inputs.get("positions"), None, config.block_size, config.window
        attributions = [littlebird_attribution(of_layer, *batch, first, last + 1) for of_layer in layers]
    else:
        attributions = [full_attention_attribution(of_layer, None, first, last + 1) for of_layer in layers]
    return explanation(
        document,
        window,
        answer.window,
        (answer.start, answer.end),
        attributions,
        config.block_size if isinstance(config, LittleBirdConfig) else None,
        passages,
        pack_vectors,
    )

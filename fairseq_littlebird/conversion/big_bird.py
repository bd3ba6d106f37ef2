"""BigBird of transformers, which is BigBird-ITC here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairseq_littlebird.conversion.bert import LM_HEAD_MAP
from fairseq_littlebird.conversion.hugging_face_adapter import (
    ACTIVATIONS,
    ENCODER,
    HuggingFaceAdapter,
    whole_number,
)
from fairseq_littlebird.conversion.key_map import KeyMap, linear
from fairseq_littlebird.conversion.parameters import QA
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.config import EncoderConfig

SPAN_HEAD_MAP: KeyMap = {
    **linear("qa_classifier.intermediate.dense", "span_head.fc1"),
    **linear("qa_classifier.output.dense", "span_head.fc2"),
    **linear("qa_classifier.output.LayerNorm", "span_head.norm"),
    **linear("qa_classifier.qa_outputs", QA),
}


class BigBirdAdapter(HuggingFaceAdapter):
    """With blocks, and a feed-forward network in its question-answering head."""

    def options(self, config: Mapping[str, Any], layers: int, where: str) -> dict[str, Any]:
        return {
            "block_size": whole_number(config, "block_size", where),
            "random_blocks": whole_number(config, "num_random_blocks", where),
            "random_attention": "first_block",  # what transformers computes outside training
        }

    def span_head_kind(self, config: EncoderConfig, where: str) -> str:
        own = config.ffn_embed_dim, config.layer_norm_eps, config.activation
        if own != (4 * config.embed_dim, 1e-12, "gelu_tanh"):
            raise UserError(
                "its head for questions is not of the released checkpoints' kind: four times as wide inside, "
                "layer_norm_eps 1e-12, hidden_act gelu_new",
                where,
                "save the encoder without it",
            )
        return "bigbird"


BIG_BIRD = BigBirdAdapter(
    "Hugging Face big_bird",
    encoder=ENCODER,
    lm_head=LM_HEAD_MAP,
    span_head=SPAN_HEAD_MAP,
    prefix="bert.",
    activations=("gelu_new", *(name for name in ACTIVATIONS if name != "gelu_new")),
    context_type=True,
    model="bigbird_itc",
)

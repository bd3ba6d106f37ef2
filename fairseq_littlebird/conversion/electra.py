"""ELECTRA of transformers: generator and discriminator."""

from __future__ import annotations

from fairseq_littlebird.conversion.hugging_face_adapter import ENCODER, SPAN_HEAD_MAP, HuggingFaceAdapter
from fairseq_littlebird.conversion.key_map import KeyMap, linear
from fairseq_littlebird.conversion.parameters import TOKENS

LM_HEAD_MAP: KeyMap = {
    **linear("generator_predictions.dense", "lm_head.dense"),
    **linear("generator_predictions.LayerNorm", "lm_head.norm"),
    "generator_lm_head.bias": "lm_head.bias",
    "generator_lm_head.weight": TOKENS,
    "discriminator_predictions.{key}": None,
}

ELECTRA = HuggingFaceAdapter(
    "Hugging Face electra",
    encoder=ENCODER,
    lm_head=LM_HEAD_MAP,
    span_head=SPAN_HEAD_MAP,
    prefix="electra.",
    context_type=True,
)

"""BERT of transformers."""

from __future__ import annotations

from fairseq_littlebird.conversion.hugging_face_adapter import ACTIVATIONS, ENCODER, SPAN_HEAD_MAP, HuggingFaceAdapter
from fairseq_littlebird.conversion.key_map import KeyMap, linear
from fairseq_littlebird.conversion.parameters import TOKENS

LM_HEAD_MAP: KeyMap = {
    **linear("cls.predictions.transform.dense", "lm_head.dense"),
    **linear("cls.predictions.transform.LayerNorm", "lm_head.norm"),
    "cls.predictions.bias": "lm_head.bias",
    "cls.predictions.decoder.bias": "lm_head.bias",
    "cls.predictions.decoder.weight": TOKENS,
    "cls.seq_relationship.{key}": None,
}

BERT = HuggingFaceAdapter(
    "Hugging Face bert",
    encoder=ENCODER,
    lm_head=LM_HEAD_MAP,
    span_head=SPAN_HEAD_MAP,
    prefix="bert.",
    activations=tuple(ACTIVATIONS),  # its LM head has that of the layers; where that has gelu, so must they
    context_type=True,
)

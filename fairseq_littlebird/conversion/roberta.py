"""RoBERTa and XLM-R of transformers."""

from __future__ import annotations

from dataclasses import replace

from fairseq_littlebird.conversion.hugging_face_adapter import ENCODER, SPAN_HEAD_MAP, HuggingFaceAdapter
from fairseq_littlebird.conversion.key_map import KeyMap, linear
from fairseq_littlebird.conversion.parameters import TOKENS

LM_HEAD_MAP: KeyMap = {
    **linear("lm_head.dense", "lm_head.dense"),
    **linear("lm_head.layer_norm", "lm_head.norm"),
    "lm_head.bias": "lm_head.bias",
    "lm_head.decoder.bias": "lm_head.bias",
    "lm_head.decoder.weight": TOKENS,
}

ROBERTA = HuggingFaceAdapter(
    "Hugging Face roberta",
    encoder=ENCODER,
    lm_head=LM_HEAD_MAP,
    span_head=SPAN_HEAD_MAP,
    prefix="roberta.",
    positions_after_padding=True,
)
XLM_ROBERTA = replace(ROBERTA, title="Hugging Face xlm-roberta")

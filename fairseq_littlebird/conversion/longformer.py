"""Longformer of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as short
from typing import Any

from fairseq_littlebird.conversion.hugging_face_adapter import ENCODER, SPAN_HEAD_MAP, HuggingFaceAdapter
from fairseq_littlebird.conversion.key_map import KeyMap, linear
from fairseq_littlebird.conversion.roberta import LM_HEAD_MAP
from fairseq_littlebird.errors import UserError

GLOBAL_ENCODER: KeyMap = {
    **ENCODER,
    **linear("encoder.layer.{n}.attention.self.query_global", "encoder.layers.{n}.attention.global_q"),
    **linear("encoder.layer.{n}.attention.self.key_global", "encoder.layers.{n}.attention.global_k"),
    **linear("encoder.layer.{n}.attention.self.value_global", "encoder.layers.{n}.attention.global_v"),
}


class LongformerAdapter(HuggingFaceAdapter):
    """With a window for each layer."""

    def options(self, config: Mapping[str, Any], layers: int, where: str) -> dict[str, Any]:
        windows = config.get("attention_window")
        windows = windows if isinstance(windows, list) else [windows] * layers
        if len(windows) != layers or not all(isinstance(window, int) for window in windows):
            raise UserError(
                f"attention_window is {short(config.get('attention_window'))}",
                where,
                f"give one number, or {layers}",
            )
        return {"attention_window": windows}


LONGFORMER = LongformerAdapter(
    "Hugging Face longformer",
    encoder=GLOBAL_ENCODER,
    lm_head=LM_HEAD_MAP,
    span_head=SPAN_HEAD_MAP,
    prefix="longformer.",
    positions_after_padding=True,
    model="longformer",
)

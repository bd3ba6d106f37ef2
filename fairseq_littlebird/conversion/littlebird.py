"""LittleBird for transformers, as littlebird-export writes it."""

from __future__ import annotations

from fairseq_littlebird.conversion.adapter import Adapter

LITTLEBIRD = Adapter(
    "Hugging Face littlebird",
    encoder={"encoder.{key}": "encoder.{key}"},
    lm_head={"lm_head.{key}": "lm_head.{key}"},
    span_head={"span_head.{key}": "span_head.{key}"},
    prefix="littlebird.",
)

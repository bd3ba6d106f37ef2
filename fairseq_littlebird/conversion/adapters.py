"""The families of transformers, by ``model_type``."""

from __future__ import annotations

from collections.abc import Mapping

from fairseq_littlebird.conversion.bert import BERT
from fairseq_littlebird.conversion.big_bird import BIG_BIRD
from fairseq_littlebird.conversion.electra import ELECTRA
from fairseq_littlebird.conversion.hugging_face_adapter import HuggingFaceAdapter
from fairseq_littlebird.conversion.longformer import LONGFORMER
from fairseq_littlebird.conversion.modernbert import MODERNBERT
from fairseq_littlebird.conversion.roberta import ROBERTA, XLM_ROBERTA

HUGGING_FACE: Mapping[str, HuggingFaceAdapter] = {
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": XLM_ROBERTA,
    "electra": ELECTRA,
    "big_bird": BIG_BIRD,
    "longformer": LONGFORMER,
    "modernbert": MODERNBERT,
}

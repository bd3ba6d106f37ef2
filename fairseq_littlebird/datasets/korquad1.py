"""KorQuAD 1.0: SQuAD's format, scored by characters."""

from __future__ import annotations

from dataclasses import replace

from fairseq_littlebird.datasets.registry import add_dataset
from fairseq_littlebird.datasets.squad import SQUAD
from fairseq_littlebird.datasets.squad_gold import read_squad_gold
from fairseq_littlebird.metrics import korquad1 as official
from fairseq_littlebird.metrics.json_files import read_texts
from fairseq_littlebird.metrics.official_metric import OfficialMetric
from fairseq_littlebird.metrics.text_metric import TextMetric

KORQUAD1 = add_dataset(
    replace(
        SQUAD,
        name="korquad1",
        title="KorQuAD 1",
        version="KorQuAD_v1",
        validation_metric=TextMetric(official.exact_match, official.f1),
        official_metric=OfficialMetric(
            read_gold=read_squad_gold,
            read_predictions=read_texts,
            answers=official.answers,
            evaluate=official.evaluate,
        ),
    )
)

"""Global tokens of prepared windows, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fairseq_littlebird.data.batch import SpanBatch, pad, without_gold
from fairseq_littlebird.text.answer_spec import Segments
from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.global_tokens import LINKS, NOTHING, GlobalInput, GlobalTokens, global_tokens, in_text
from fairseq_littlebird.text.window import Window


@dataclass(frozen=True)
class StructuredInput:
    """Which global tokens windows get.

    Args:
        rules: of the data set.
        segments: what its segments are, see ``AnswerSpec``.
        in_text: global tokens are tokens of the text, as of Longformer; otherwise they stand beside it, as of ETC.
    """

    rules: GlobalInput
    segments: Segments = ""
    in_text: bool = False

    def of_window(self, window: Window, example: QAExample) -> GlobalTokens:
        """The global tokens of a window of a question."""
        kinds = self.rules.kinds_in_text if self.in_text else self.rules.kinds
        maximum = len(window.tokens) + 1 if self.in_text else self.rules.maximum
        names = [segment.name for segment in example.segments]
        return global_tokens(window, example.document, names, kinds, maximum, self.segments)

    def add(self, batch: SpanBatch, found: Sequence[GlobalTokens]) -> None:
        """Adds the global tokens of a batch's windows, one entry each, and how many there would be too many of."""
        net_input = batch["net_input"]
        if self.in_text:
            net_input["global_tokens"] = pad([in_text(one) for one in found], 0).bool()
            return
        length = net_input["src_tokens"].shape[1]
        owners = np.full((len(found), length, LINKS), NOTHING, dtype=np.int64)
        for row, one in zip(owners, found, strict=True):
            row[: len(one.owners)] = one.owners
        net_input["global_kinds"] = pad([one.kinds for one in found], NOTHING)
        net_input["global_groups"] = pad([one.groups for one in found], NOTHING)
        net_input["global_owners"] = torch.from_numpy(owners)
        net_input["global_mentions"] = pad([one.mentions for one in found], NOTHING)
        if "segments" in net_input:
            width = net_input["segments"].shape[1]
            net_input["segment_globals"] = pad([one.segments for one in found], NOTHING, width=width)
            without_gold(batch, net_input["segment_globals"] == NOTHING)
        batch["dropped_global_tokens"] = sum(one.dropped for one in found)

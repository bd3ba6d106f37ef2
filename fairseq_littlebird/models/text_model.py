"""Language models as fairseq's search asks them, restricted to tokens that are text.

Legend: N hypotheses, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models import FairseqLanguageModel
from fairseq.sequence_generator import EnsembleModel
from torch import Tensor

NOT_TEXT = "madeupword"  # what fills a dictionary up to a multiple


class TextModel(EnsembleModel):
    """Models that write only text, and ``</s>`` where texts have one; what is given to them may have other tokens.

    Args:
        models: of the plugin or of fairseq.
        dictionary: their own.
        ends: whether texts have ``</s>``; otherwise it only follows the last token that there may be.
    """

    def __init__(self, models: Sequence[FairseqLanguageModel], dictionary: Dictionary, ends: bool) -> None:
        super().__init__(models)
        self.vocabulary, self.end, self.ends = len(dictionary), dictionary.eos(), ends
        self.banned = unwritten(dictionary.symbols, dictionary)
        self.given, self.last = 0, 0

    def between(self, given: int, last: int) -> None:
        """For the next search: how many tokens it is given to begin with, and after how many a text can only end."""
        self.given, self.last = given, last

    def log_probabilities(
        self, tokens: Tensor, encoder_outs: Any, incremental_states: list[dict[str, Any]], temperature: float
    ) -> Tensor:
        """Those of all tokens, <float>[N, V]."""
        lprobs: Tensor = super().forward_decoder(tokens, encoder_outs, incremental_states, temperature)[0]
        return lprobs

    def forward_decoder(
        self, tokens: Tensor, encoder_outs: Any, incremental_states: list[dict[str, Any]], temperature: float = 1.0
    ) -> tuple[Tensor, None]:
        """Log-probabilities <float>[N, V] of the token after ``tokens`` <int64>[N, step + 1]."""
        if tokens.shape[1] > self.last:
            lprobs = torch.full((len(tokens), self.vocabulary), -math.inf, device=tokens.device)
            lprobs[:, self.end] = 0.0
            return lprobs, None
        lprobs = self.log_probabilities(tokens, encoder_outs, incremental_states, temperature)
        if tokens.shape[1] > self.given:
            lprobs[:, self.banned] = -math.inf
        if not self.ends:
            lprobs[:, self.end] = -math.inf
        return lprobs, None


def unwritten(symbols: Sequence[str], dictionary: Dictionary) -> list[int]:
    """Tokens that are no text, which no search writes: all special ones but ``</s>``."""
    special = {dictionary.bos(), dictionary.pad(), dictionary.unk()}
    return sorted(special | {n for n, symbol in enumerate(symbols) if symbol.startswith(NOT_TEXT)})

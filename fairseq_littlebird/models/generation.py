"""fairseq's beam search with n-gram blocking that works everywhere, and GNMT's length penalty.

fairseq's own blocker is given the whole buffer of tokens, and compares the padding at its end with the n-grams before
(facebookresearch/fairseq#5206): without its CUDA extension it forbids nothing.

Legend: N hypotheses (documents times beams), T tokens of the buffer, V vocabulary.
"""

from __future__ import annotations

import math
from argparse import Namespace
from dataclasses import dataclass
from typing import Any

from fairseq.sequence_generator import EnsembleModel, SequenceGenerator
from torch import Tensor, nn

from fairseq_littlebird.errors import UserError

POWER, GNMT = "power", "gnmt"
LENGTH_PENALTIES = (POWER, GNMT)
MAX_LENGTH = 200


@dataclass(frozen=True, kw_only=True)
class BeamSearchSettings:
    """How summaries are generated.

    Args:
        beam: number of hypotheses; 1: greedy.
        length_penalty: exponent α; larger ones favour longer summaries.
        length_penalty_kind: a summary of n tokens, ``</s>`` included, is scored by its log-probability over n^α
            (``power``), or over ((5 + n) / 6)^α (``gnmt``: Wu et al. 2016, of the BigBird paper).
        no_repeat_ngram_size: no n-gram of this many tokens comes twice; 0: they may.
        min_length, max_length: number of tokens of a summary, without ``</s>``; None: ``MAX_LENGTH``, or what the
            model can write.
    Raises:
        UserError: a number that makes no sense.
    """

    beam: int = 5
    length_penalty: float = 1.0
    length_penalty_kind: str = POWER
    no_repeat_ngram_size: int = 0
    min_length: int = 1
    max_length: int | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("beam", self.beam, 1),
            ("no-repeat n-gram size", self.no_repeat_ngram_size, 0),
            ("minimum length", self.min_length, 0),
            ("maximum length", self.longest, 1),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UserError(f"a {name} of {value}", remedy=f"give a whole number from {least}")
        if self.min_length > self.longest:
            what = f"a minimum length of {self.min_length}, above the maximum of {self.longest}"
            raise UserError(what, remedy="lower it, or raise the maximum")
        if self.length_penalty_kind not in LENGTH_PENALTIES:
            what = f"no length penalty {self.length_penalty_kind!r}"
            raise UserError(what, remedy=f"choose {' or '.join(LENGTH_PENALTIES)}")
        if not math.isfinite(self.length_penalty):
            raise UserError(f"a length penalty of {self.length_penalty}", remedy="give a number, as 1.0")

    @property
    def longest(self) -> int:
        """Tokens of a summary at most."""
        return MAX_LENGTH if self.max_length is None else self.max_length


class RepeatedNgrams(nn.Module):
    """Forbids every token that would end an n-gram which a hypothesis already has.

    Args:
        size: n.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, tokens: Tensor, lprobs: Tensor, bsz: int, beam_size: int, step: int) -> Tensor:
        """
        Args:
            tokens: <int64>[N, T], the decoder's start, ``step`` tokens, and what is not written yet.
            lprobs: <float>[N, V] of the next token, changed in place.
            bsz, beam_size: fairseq's, not needed.
            step: number of tokens so far.
        Returns:
            ``lprobs``.
        """
        written = tokens[:, 1 : step + 1]
        if step < self.size:
            return lprobs
        ngrams = written.unfold(1, self.size, 1)  # [N, step - n + 1, n]
        last = written[:, step - self.size + 1 :]
        known = (ngrams[..., :-1] == last[:, None]).all(dim=-1)
        rows, places = known.nonzero(as_tuple=True)
        lprobs[rows, ngrams[rows, places, -1]] = -math.inf
        return lprobs


class SummaryGenerator(SequenceGenerator):
    """fairseq's generator.

    Args:
        models, tgt_dict, others: fairseq's.
        decoder_start: id of the token that the decoder begins with; None: ``</s>``.
        length_penalty_kind: see :class:`BeamSearchSettings`.
    """

    def __init__(
        self,
        models: Any,
        tgt_dict: Any,
        *,
        decoder_start: int | None = None,
        length_penalty_kind: str = POWER,
        no_repeat_ngram_size: int = 0,
        **others: Any,
    ) -> None:
        super().__init__(_WithoutAttention(models), tgt_dict, no_repeat_ngram_size=no_repeat_ngram_size, **others)
        if no_repeat_ngram_size > 0:
            self.repeat_ngram_blocker = RepeatedNgrams(no_repeat_ngram_size)
        self.decoder_start, self.length_penalty_kind = decoder_start, length_penalty_kind
        self.alpha = float(others.get("len_penalty", 1.0))

    def _generate(self, sample: Any, prefix_tokens: Any = None, constraints: Any = None, bos_token: Any = None) -> Any:
        start = self.decoder_start if bos_token is None else bos_token
        self.model.set_decoder_beam_size(self.beam_size)
        try:
            return super()._generate(sample, prefix_tokens, constraints, start)
        finally:
            # BART would take the next batch of training for one of as many beams
            for model in self.model.models:
                if hasattr(model, "set_beam_size"):
                    model.set_beam_size(1)

    def finalize_hypos(self, step: int, *arguments: Any, **options: Any) -> Any:
        """As fairseq's, which divides by (step + 1)^len_penalty."""
        if self.length_penalty_kind == GNMT and step > 0:
            self.len_penalty = self.alpha * math.log((6 + step) / 6) / math.log(step + 1)
        return super().finalize_hypos(step, *arguments, **options)


class _WithoutAttention(EnsembleModel):
    """Keeps no cross-attention: for each hypothesis it would be a number for each pair of tokens."""

    def forward_decoder(self, *arguments: Any, **options: Any) -> tuple[Tensor, None]:
        lprobs, _ = super().forward_decoder(*arguments, **options)
        return lprobs, None


def generator_options(settings: BeamSearchSettings) -> Any:
    """The settings under the names of fairseq's ``GenerationConfig``, for a task's ``build_generator``."""

    return Namespace(
        beam=settings.beam,
        lenpen=settings.length_penalty,
        length_penalty_kind=settings.length_penalty_kind,
        no_repeat_ngram_size=settings.no_repeat_ngram_size,
        min_len=settings.min_length,
        max_len_a=0,
        max_len_b=settings.longest,
    )

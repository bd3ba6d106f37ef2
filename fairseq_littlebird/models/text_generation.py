"""fairseq's search for texts that go on from a beginning, in memory that does not depend on their length.

fairseq's own generation forces the beginning upon a search, one token and one pass after another. Here the beginning is
read at once.

Legend: B beginnings, k beams of each, n tokens of a beginning, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models import FairseqLanguageModel
from fairseq.search import BeamSearch, Sampling
from fairseq.sequence_generator import SequenceGenerator
from torch import Tensor

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.models.language_model import LanguageModel
from fairseq_littlebird.models.text_model import TextModel

CHUNK_SIZE = 512  # tokens of a beginning that are read together


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """How a text goes on.

    Args:
        max_new_tokens: how many tokens are generated at most.
        beam: number of hypotheses of a beam search, 1: greedy; None samples.
        temperature: what logits are divided by before sampling.
        top_k: sample from so many tokens, the most probable; None for all.
        top_p: sample from the most probable tokens that together reach this probability.
        seed: of the samples; None goes on with PyTorch's generator.
    Raises:
        UserError: a number that makes no sense, or a setting of sampling for a beam search.
    """

    max_new_tokens: int = 200
    beam: int | None = None
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("max_new_tokens", 1), ("beam", 1), ("top_k", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is None and name != "max_new_tokens":
                continue
            if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
                raise UserError(f"expected a whole number from {least}, got {shown(value)}", name, "give one")
        for name, most in (("temperature", math.inf), ("top_p", 1.0)):
            value = getattr(self, name)
            number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
            if not number or not 0 < value <= most:
                limits = "above 0" if most == math.inf else "above 0, at most 1"
                raise UserError(f"expected a number {limits}, got {shown(value)}", name, "give one")
        if self.beam is not None:
            for name, default in (("temperature", 1.0), ("top_k", None), ("top_p", 1.0), ("seed", None)):
                if getattr(self, name) != default:
                    raise UserError("a setting of sampling, but beam asks for a beam search", name, "leave one out")


class TextGenerator(SequenceGenerator):
    """fairseq's generator for a language model.

    Args:
        model: in evaluation mode.
        dictionary: its own.
        settings: how texts go on.
        ends: whether texts may end with ``</s>``; otherwise each has as many tokens as there may be.
    """

    def __init__(
        self, model: FairseqLanguageModel, dictionary: Dictionary, settings: GenerationSettings, ends: bool = True
    ) -> None:
        search = BeamSearch(dictionary)
        if settings.beam is None:
            search = TruncatedSampling(dictionary, settings.top_k, settings.top_p)
        self.settings = settings
        super().__init__(
            _Continued(model, dictionary, ends),
            dictionary,
            beam_size=settings.beam or 1,
            max_len_b=settings.max_new_tokens,
            min_len=0,
            temperature=settings.temperature,
            search_strategy=search,
        )

    def continue_texts(self, beginnings: Tensor) -> list[dict[str, Any]]:
        """The best hypothesis of each, as fairseq has it, whose ``tokens`` are the new ones with ``</s>``.

        Where a text has as many as there may be, ``</s>`` follows them at no cost.

        Args:
            beginnings: <int64>[B, n], n ≥ 1, without padding; the first token is what texts begin with.
        """
        model: _Continued = self.model
        given, self.max_len_b = 0, self.settings.max_new_tokens
        options: dict[str, Any] = {"bos_token": int(beginnings[0, 0])}
        if isinstance(model.single_model, LanguageModel):
            model.read(beginnings[:, :-1], self.beam_size)
            options = {"bos_token": beginnings[:, -1].repeat_interleave(self.beam_size)}
        else:
            given = beginnings.shape[1] - 1
            self.max_len_b += given
            options["prefix_tokens"] = beginnings[:, 1:] if given else None
        model.between(given, self.max_len_b)
        sample = {"net_input": {"src_tokens": beginnings[:, :1], "src_lengths": torch.ones_like(beginnings[:, 0])}}
        try:
            found = self.generate([model.single_model], sample, **options)
        finally:
            model.state = None
        best = [hypotheses[0] for hypotheses in found]
        return [b | {name: b[name][given:] for name in ("tokens", "positional_scores")} for b in best]


class TruncatedSampling(Sampling):
    """fairseq's sampling, from the most probable tokens; its own takes either k of them or a share.

    Args:
        dictionary: of the model.
        top_k, top_p: see :class:`GenerationSettings`.
    """

    def __init__(self, dictionary: Dictionary, top_k: int | None, top_p: float) -> None:
        super().__init__(dictionary)
        self.top_k, self.top_p = top_k, top_p

    def step(self, step: int, lprobs: Tensor, *others: Any) -> Any:
        return super().step(step, truncated(lprobs, self.top_k, self.top_p), *others)


def truncated(lprobs: Tensor, top_k: int | None, top_p: float) -> Tensor:
    """Log-probabilities of the most probable tokens; -inf for the others.

    Args:
        lprobs: <float>[…, V].
        top_k: how many; None for all.
        top_p: what they reach together, once only those are left; one more than reach less.
    Returns:
        <float>[…, V].
    """
    count = lprobs.shape[-1] if top_k is None else min(top_k, lprobs.shape[-1])
    if count == lprobs.shape[-1] and top_p >= 1:
        return lprobs
    values, tokens = lprobs.topk(count)
    probabilities = values.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities
    values = values.masked_fill((before >= top_p) & (before > 0), -math.inf)
    return torch.full_like(lprobs, -math.inf).scatter(-1, tokens, values)


class _Continued(TextModel):
    """One language model, which may have read the beginnings already.

    Args:
        model: of the plugin or of fairseq.
        dictionary, ends: see :class:`TextModel`.
    """

    def __init__(self, model: FairseqLanguageModel, dictionary: Dictionary, ends: bool) -> None:
        super().__init__([model], dictionary, ends)
        self.state: Any = None  # of the beginnings, until the search takes it over
        self.read_tokens = 0

    def read(self, tokens: Tensor, beams: int) -> None:
        """Reads <int64>[B, n - 1] for k beams of each."""
        transformer = self.single_model.decoder.transformer
        self.state, self.read_tokens = transformer.decoding_state(), tokens.shape[1]
        for chunk in tokens.split(CHUNK_SIZE, dim=1) if tokens.shape[1] else ():
            transformer.extend(chunk, self.state)
        if tokens.shape[1]:
            self.state.reorder(torch.arange(len(tokens), device=tokens.device).repeat_interleave(beams))

    def log_probabilities(
        self, tokens: Tensor, encoder_outs: Any, incremental_states: list[dict[str, Any]], temperature: float
    ) -> Tensor:
        if not isinstance(self.single_model, LanguageModel):
            return super().log_probabilities(tokens, encoder_outs, incremental_states, temperature)
        decoder = self.single_model.decoder
        if self.state is not None:
            decoder.begin(incremental_states[0], self.state)
            self.state = None
        state = decoder.decoding_state(incremental_states[0])
        hidden = decoder.transformer.extend(tokens[:, state.count - self.read_tokens :], state)
        logits = decoder.output_layer(hidden[:, -1])
        return (logits.float() / temperature).log_softmax(dim=-1)

"""Bits that a language model needs for a split: every token once, in strided windows or in one pass.

Legend: B windows, L tokens, n tokens that are scored, C hidden width.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from fairseq.models.transformer import TransformerDecoderBase
from torch import Tensor
from tqdm import tqdm

from fairseq_littlebird.data.language_modeling_dataset import LanguageModelingDataset
from fairseq_littlebird.data.token_windows import TokenWindows
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.language_model import LanguageModel
from fairseq_littlebird.models.language_model_decoder import LanguageModelDecoder
from fairseq_littlebird.pipelines.batches import batches
from fairseq_littlebird.pipelines.text_size import TextSize, text_size
from fairseq_littlebird.tasks.littlebird_language_modeling import LittleBirdLanguageModelingTask
from fairseq_littlebird.text.tokenizers import Tokenizer

LOGITS = 4096  # tokens whose logits are held at once


@dataclass(frozen=True)
class Score:
    """What a split costs.

    Args:
        bits: of all tokens.
        tokens, size: of the split.
        length, stride: of the windows.
        cached: whether the text was read once, from its beginning to its end.
        windows: how many there were; 0 for a cached score.
        computed: tokens that the model read, those that it read several times included.
        receptive_field: how many tokens before a token can change what the model says of it; None for all.
        shortened: tokens that see less in such windows than the model can.
    """

    bits: float
    tokens: int
    size: TextSize
    length: int
    stride: int
    cached: bool
    windows: int
    computed: int
    receptive_field: int | None
    shortened: int

    def per(self, count: int | None) -> float | None:
        """Bits for each of so many."""
        return self.bits / count if count else None

    def figures(self) -> dict[str, Any]:
        """All of it by name, for JSON."""
        size = self.size
        means = {"token": self.tokens, "character": size.characters, "byte": size.bytes}
        own = {name: value for name, value in asdict(self).items() if name != "size"}
        return {f"bits_per_{name}": self.per(count) for name, count in means.items()} | {
            "perplexity": 2 ** (self.bits / self.tokens),
            **own,
            **size._asdict(),
        }


@torch.inference_mode()
def score_split(
    model: Any,
    task: LittleBirdLanguageModelingTask,
    split: str,
    length: int,
    stride: int,
    cached: bool = False,
    max_tokens: int = 32768,
    workers: int = 0,
    tokenizer: Tokenizer | None = None,
    quiet: bool = False,
) -> Score:
    """The bits of every token of a split, each counted once.

    Args:
        model, task: from :func:`fairseq_littlebird.pipelines.language_model.load_language_model`.
        split: its name.
        length, stride: of :func:`token_windows`; a cached score only says how its context differs from theirs.
        cached: read the text once and keep the keys that the windows need, in chunks.
        max_tokens: tokens of a batch of windows, at least one window; or of a chunk.
        workers: processes that load windows.
        tokenizer: of the text; None for bits per token alone.
        quiet: show no progress.
    Raises:
        UserError: no such split, windows longer than the model reads, a stride over the length, or a model that cannot
            be cached.
    """
    if not 1 <= stride <= length:
        what = f"--stride {stride} is over --length {length}: tokens between two windows would never be scored"
        raise UserError(what, remedy="give a stride from 1 to the length")
    if cached and not isinstance(model, LanguageModel):
        raise UserError("--cached is for the language models of this package", remedy="leave it out")
    task.load_dataset(split)
    dataset = task.dataset(split).strided(length, stride)
    if not len(dataset):
        raise UserError(f"the split {split!r} has no token", task.cfg.data, "name another")
    texts = dataset.stream.documents(dataset.lines)
    longest = int((texts[:, 1] - texts[:, 0] if cached else dataset.sizes).max())
    if longest > model.max_positions():
        what = f"{'a text' if cached else 'windows'} of {longest:,} tokens, but the model has positions for"
        remedy = "leave out --cached" if cached else "lower --length"
        raise UserError(f"{what} {model.max_positions():,}", remedy=remedy)
    field = receptive_field(model)
    if cached:
        bits = _cached_bits(model, dataset, texts, max_tokens, quiet)
    else:
        bits = _windowed_bits(model, dataset, max(max_tokens, longest), workers, quiet)
    return Score(
        bits,
        tokens=len(dataset.stream),
        size=text_size(dataset.stream, task.dictionary, tokenizer),
        length=length,
        stride=stride,
        cached=cached,
        windows=0 if cached else len(dataset),
        computed=len(dataset.stream) if cached else int(dataset.sizes.sum()),
        receptive_field=field,
        shortened=shortened_tokens(dataset.windows, field),
    )


def receptive_field(model: Any) -> int | None:
    """How many tokens before a token can change what a model says of it; None for all of them."""
    if not isinstance(model, LanguageModel):
        return None
    return getattr(model.decoder.transformer.config, "receptive_field", None)


def shortened_tokens(windows: TokenWindows, field: int | None) -> int:
    """How many tokens see less in their window than they would in the whole text.

    Args:
        windows: of the text.
        field: see :func:`receptive_field`.
    """
    ends = windows.stops if field is None else np.minimum(windows.stops, windows.starts + field)
    return int(np.maximum(ends - windows.firsts, 0)[~windows.opening].sum())


def _windowed_bits(model: Any, dataset: LanguageModelingDataset, max_tokens: int, workers: int, quiet: bool) -> float:
    bits, pad = 0.0, dataset.dictionary.pad()
    with tqdm(total=len(dataset.stream), desc="scoring", unit=" tokens", unit_scale=True, disable=quiet) as progress:
        for batch in batches(model, dataset, max_tokens, workers):
            hidden = _hidden(model, batch["net_input"]["src_tokens"])
            scored = batch["target"].ne(pad)
            bits += _bits(model, hidden[scored], batch["target"][scored])
            progress.update(batch["ntokens"])
    return bits


def _cached_bits(model: Any, dataset: LanguageModelingDataset, texts: np.ndarray, chunk: int, quiet: bool) -> float:
    bits, stream = 0.0, dataset.stream
    device = next(model.parameters()).device
    with tqdm(total=len(stream), desc="scoring", unit=" tokens", unit_scale=True, disable=quiet) as progress:
        for begin, end in texts.tolist():
            state, before = model.decoder.transformer.decoding_state(), dataset.dictionary.eos()
            for start in range(begin, end, chunk):
                tokens = torch.from_numpy(stream.read(start, min(start + chunk, end)))
                source = torch.cat([tokens.new_tensor([before]), tokens[:-1]])[None]
                hidden = model.decoder.transformer.extend(source.to(device), state)
                bits += _bits(model, hidden[0], tokens.to(device))
                before = int(tokens[-1])
                progress.update(len(tokens))
    return bits


def _hidden(model: Any, tokens: Tensor) -> Tensor:
    """Hidden states <float>[B, L, C] of token ids <int64>[B, L]; logits where a model of fairseq's gives no others."""
    apart = isinstance(model.decoder, (LanguageModelDecoder, TransformerDecoderBase))
    hidden: Tensor = model.decoder(tokens, features_only=True)[0] if apart else model(tokens)[0]
    return hidden


def _bits(model: Any, hidden: Tensor, target: Tensor) -> float:
    """The bits of tokens <int64>[n], of which <float>[n, C] are what :func:`_hidden` gave; few logits at a time."""
    apart, bits = isinstance(model.decoder, (LanguageModelDecoder, TransformerDecoderBase)), 0.0
    for states, tokens in zip(hidden.split(LOGITS), target.split(LOGITS), strict=True):
        output = model.decoder.output_layer(states[None]) if apart else states[None]
        scores = model.get_normalized_probs((output, None), log_probs=True, sample={"target": tokens[None]})
        found = scores.view(len(tokens), -1).gather(1, tokens[:, None])
        bits -= found.double().sum().item() / math.log(2)
    return bits

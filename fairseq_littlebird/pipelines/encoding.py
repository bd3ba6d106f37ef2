"""The hidden states of texts in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from fairseq.data import Dictionary
from torch import Tensor

from fairseq_littlebird.data.batch import pad
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inference.answering import by_tokens
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.text.tokenizers import Tokenizer, without_surrogates


class Encoding(NamedTuple):
    """The encoder's output for a text of n tokens."""

    hidden: Tensor  # <float32>[n + 2, C], between <s> and </s>
    tokens: list[str]  # n, as the dictionary has them
    offsets: np.ndarray  # int64[n, 2], [start, end) characters of each token in the text


@torch.inference_mode()
def encodings(
    model: EncoderModel, dictionary: Dictionary, tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int = 32768
) -> list[Encoding]:
    """The hidden states of each text between ``<s>`` and ``</s>``; texts of about one length share a batch.

    Args:
        model: in evaluation mode, on its device.
        dictionary: the model's.
        tokenizer: its symbols are the dictionary's.
        texts: to encode.
        max_tokens: tokens encoded together.
    Raises:
        UserError: a text longer than learned positions reach.
    """
    tokenized = [tokenizer.encode(without_surrogates(text)) for text in texts]
    ids = [np.array([dictionary.bos(), *map(dictionary.index, symbols), dictionary.eos()]) for symbols, _ in tokenized]
    reach = model.max_positions()
    for index, sequence in enumerate(ids):
        if len(sequence) > reach:
            raise UserError(f"{len(sequence):,} tokens", f"text {index}", f"shorten it to the model's {reach:,}")
    lengths, order = torch.tensor([len(one) for one in ids], dtype=torch.long).sort(descending=True, stable=True)
    device = next(model.parameters()).device
    found: dict[int, Encoding] = {}
    for part, _ in by_tokens(order, lengths.tolist(), max_tokens):
        here = part.tolist()
        hidden, _ = model(pad([ids[i] for i in here], dictionary.pad()).to(device), features_only=True)
        for i, states in zip(here, hidden, strict=True):
            symbols, offsets = tokenized[i]
            characters = np.array(offsets, dtype=np.int64).reshape(-1, 2)
            found[i] = Encoding(states[: len(ids[i])].float().cpu(), symbols, characters)
    return [found[i] for i in range(len(texts))]

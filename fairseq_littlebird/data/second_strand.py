"""The other strand of prepared sequences of DNA, tokenized anew: a tokenizer does not cut both strands alike."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.data import BaseWrapperDataset, Dictionary
from torch import Tensor

from fairseq_littlebird.text.dna.nucleotides import reverse_complement
from fairseq_littlebird.text.tokenizers import Tokenizer


class SecondStrand:
    """Makes tokens of the reverse complement of a sequence.

    Args:
        tokenizer: of A, C, G, T and N; its symbols are the dictionary's.
        dictionary: the model's.
        max_tokens: the most tokens, ``<s>`` and ``</s>`` included; what is longer is cut at its end. None for any.
    """

    def __init__(self, tokenizer: Tokenizer, dictionary: Dictionary, max_tokens: int | None) -> None:
        self._tokenizer, self._dictionary, self._max_tokens = tokenizer, dictionary, max_tokens

    def __call__(self, tokens: Tensor) -> Tensor:
        """int64[L] to int64[M]: the special tokens at both ends stay as they are."""
        symbols, special = self._dictionary.symbols, self._dictionary.nspecial
        ids = tokens.tolist()
        first = next((n for n, token in enumerate(ids) if token >= special), len(ids) - 1)
        bases = "".join(symbols[token] for token in ids[first:-1])
        other = self._tokenizer.tokenize(reverse_complement(bases.encode("ascii")).decode("ascii"))
        most = None if self._max_tokens is None else self._max_tokens - first - 1
        found = [self._dictionary.index(symbol) for symbol in other[:most]]
        return torch.tensor([*ids[:first], *found, ids[-1]])


class SecondStrandDataset(BaseWrapperDataset):
    """The other strand of each item of a dataset of tokens, which are tokenized in the data workers.

    Args:
        dataset: items are int64[L]; its collater pads them.
        second_strand: makes the other strand.
    """

    def __init__(self, dataset: Any, second_strand: SecondStrand) -> None:
        super().__init__(dataset)
        self._second_strand = second_strand

    def __getitem__(self, index: int) -> Tensor:
        """int64[M]."""
        return self._second_strand(self.dataset[index])

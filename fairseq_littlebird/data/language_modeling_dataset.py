"""Windows of a token stream as batches of a language model.

Legend: B windows, L tokens of the longest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary

from fairseq_littlebird.data.batch import indices_not_equal, pad
from fairseq_littlebird.data.batching import EveryItemBatched
from fairseq_littlebird.data.token_stream import TokenStream
from fairseq_littlebird.data.token_windows import token_windows


class LanguageModelingDataset(EveryItemBatched):
    """Each window's tokens, and what a model reads to predict them: the token before each.

    Before the first token of a text it reads ``</s>``, as fairseq's own task has it. A window's first tokens that
    another one predicts have the padding for their target.

    Args:
        stream: the tokens.
        dictionary: of them.
        length, stride: of :func:`token_windows`.
        lines: whether every item of the stream is a text of its own.
        shuffle: in training.
    """

    smaller_items = "raise it, or lower --tokens-per-sample"

    def __init__(
        self,
        stream: TokenStream,
        dictionary: Dictionary,
        length: int,
        stride: int,
        lines: bool = False,
        shuffle: bool = False,
    ) -> None:
        super().__init__()
        self.stream, self.dictionary, self.lines, self.shuffle = stream, dictionary, lines, shuffle
        self.windows = token_windows(stream.documents(lines), length, stride)
        self.sizes = self.windows.sizes

    def strided(self, length: int, stride: int) -> LanguageModelingDataset:
        """The same tokens in other windows, in their order."""
        return LanguageModelingDataset(self.stream, self.dictionary, length, stride, self.lines)

    def __len__(self) -> int:
        return len(self.sizes)

    def ordered_indices(self) -> np.ndarray:
        """By length; shuffled in training, in the order of the text otherwise."""
        indices = np.random.permutation(len(self)) if self.shuffle else np.arange(len(self))
        return indices[np.argsort(self.sizes[indices], kind="stable")]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``source`` and ``target`` int64[window], and how many tokens of the window another one predicts."""
        start, first, stop, opening = (int(array[index]) for array in self.windows)
        read = self.stream.read(start - 1 + opening, stop)
        source = np.concatenate([[self.dictionary.eos()], read[:-1]]) if opening else read[:-1]
        target = read if opening else read[1:].copy()
        target[: first - start] = self.dictionary.pad()
        return {"id": index, "source": source, "target": target, "context": first - start}

    def collater(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """fairseq's batch of a language model: ``src_tokens`` and ``target`` <int64>[B, L], padded on the right, and
        ``unpadded`` <int64>[N], which of the [B · L] tokens are not padding.

        Where windows have tokens that others predict, ``start_indices`` tells how many.
        """
        if not samples:
            return {}
        context = [sample["context"] for sample in samples]
        src_tokens = pad([sample["source"] for sample in samples], self.dictionary.pad())
        batch = {
            "id": torch.tensor([sample["id"] for sample in samples]),
            "nsentences": len(samples),
            "ntokens": sum(len(sample["source"]) for sample in samples) - sum(context),
            "net_input": {
                "src_tokens": src_tokens,
                "src_lengths": torch.tensor([len(sample["source"]) for sample in samples]),
            },
            "unpadded": indices_not_equal(src_tokens, self.dictionary.pad()),
            "target": pad([sample["target"] for sample in samples], self.dictionary.pad()),
        }
        return batch | ({"start_indices": context} if any(context) else {})

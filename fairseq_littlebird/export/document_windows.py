"""A question and a document as an exported model reads them. Goes with each exported model.

Legend: L tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fairseq_littlebird.input_error import InputError
from fairseq_littlebird.text.tokenizers.offsets import OffsetFitter
from fairseq_littlebird.text.window_ranges import fitting_stride, window_ranges


class DocumentWindow(NamedTuple):
    """A part of a document with the question."""

    inputs: dict[str, Tensor]  # of the model, <int64>[1, L] each
    first: int  # the index of the first token of the document
    offsets: list[tuple[int, int]]  # the characters of each token of the document


def document_windows(
    tokenizer: Any, question: str, document: str, max_tokens: int | None, stride: int | None
) -> list[DocumentWindow]:
    """The windows that ``LittleBird.answer`` cuts; none where the document is empty or the question too long.

    Args:
        tokenizer: the one that came with the model.
        question, document: texts.
        max_tokens: of a window; None for one window, however long.
        stride: tokens from one window's start to the next one's; None for half a window.
    """
    question, document = readable(question), readable(document)
    encoded = tokenizer(question, document, return_offsets_mapping=True)
    inside = [part == 1 for part in encoded.sequence_ids(0)]
    if not any(inside):
        return []
    first, stop = inside.index(True), len(inside) - inside[::-1].index(True)
    offsets = exact_offsets(tokenizer, document, encoded.pop("offset_mapping")[first:stop])
    room, step = stop - first, stop - first
    if max_tokens is not None:
        others = len(inside) - room
        room = max_tokens - others
        step = fitting_stride(room, max_tokens, max_tokens // 2 if stride is None else stride)
    return [
        DocumentWindow(
            {
                name: torch.tensor([[*values[:first], *values[first + start : first + end], *values[stop:]]])
                for name, values in encoded.items()
            },
            first,
            offsets[start:end],
        )
        for start, end in (window_ranges(len(offsets), room, step) if step else ())
    ]


def check_texts(question: Any, document: Any) -> None:
    """Raises InputError where they are not what ``LittleBird.answer`` takes."""
    for name, text in (("question", question), ("document", document)):
        if not isinstance(text, str):
            raise InputError(f"{name}: expected a str, got {type(text).__name__}; give text")
    if not question.strip():
        raise InputError("question: it is empty; write one")


def readable(text: str) -> str:
    """Lone surrogates, which no tokenizer reads, as U+FFFD; no offset moves."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def exact_offsets(tokenizer: Any, text: str, offsets: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """[start, end) of tokens, with all characters that they were made of, some of which the library leaves out.

    Of a decomposed Hangul syllable it tells the first jamo alone (huggingface/tokenizers#1201).

    Args:
        tokenizer: the one that came with the model.
        text: of the tokens.
        offsets: as the tokenizer tells them.
    """
    if not text or not offsets:
        return []
    normalizer = tokenizer.backend_tokenizer.normalizer
    places = np.array(offsets, dtype=np.int64)
    fitter = OffsetFitter(None if normalizer is None else normalizer.normalize_str)
    return fitter.fit(text, places[:, 0], places[:, 1])

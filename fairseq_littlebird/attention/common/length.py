"""Sequences without a token, which no attention here takes."""

from __future__ import annotations

from fairseq_littlebird.exporting import is_exporting
from fairseq_littlebird.input_error import InputError


def check_length(length: int) -> None:
    """Raises ValueError where a batch's sequences have no token at all, not even padding.

    Args:
        length: L.
    """
    if not is_exporting() and length < 1:  # an exported graph says itself which lengths it takes
        raise InputError("sequences of 0 tokens: give each batch at least one, perhaps of padding")

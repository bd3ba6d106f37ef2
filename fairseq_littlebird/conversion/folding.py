"""What the encoders here hold in fewer tables than the formats of others, or in more: there and back.

Legend: P positions, E width of the token embeddings.
"""

from __future__ import annotations

import torch

from fairseq_littlebird.conversion.key_map import State
from fairseq_littlebird.conversion.parameters import CONTEXT, POSITIONS, QA, QKV, SPAN_HEAD, TOKEN_TYPES


def fold_positions(state: State, offset: int, notes: list[str], context: bool = False) -> None:
    """Position embeddings start at position 0 and hold what every token gets: the embedding of token type 0.

    All tokens of one text have type 0, so adding that embedding to every position gives the embedding norm the same
    input.
    With a question before it, a text has type 1.

    Args:
        state: changed in place; the token types leave it.
        offset: position embeddings before the first that a token uses (RoBERTa counts on from its padding's number).
        notes: gets a sentence for each step.
        context: keep the difference of token types 1 and 0, for the text after a question.
    """
    if offset:
        state[POSITIONS] = state[POSITIONS][offset:].clone()
        notes.append(f"Position embeddings 0 to {offset - 1} are never used (positions start at {offset}): dropped.")
    types = state.pop(TOKEN_TYPES, None)
    if types is not None and len(types):
        state[POSITIONS] = state[POSITIONS] + types[0]
        context = context and len(types) > 1
        if context:
            state[CONTEXT] = types[1] - types[0]
        rest = len(types) - 1 - context
        others = ("; type 1 kept for what follows a question" if context else "") + (
            f"; the other {rest} dropped" if rest else ""
        )
        notes.append(f"Embedding of token type 0 added to every position embedding{others}.")


def unfold_positions(state: State, offset: int, types: int) -> None:
    """The way back: position embeddings from ``offset`` on, and token types that add to these what they add here.

    Args:
        state: changed in place.
        offset: position embeddings before the first that a token uses; they are zero.
        types: how many token types; 0 for none. The first is zero, as the positions hold it already.
    """
    if POSITIONS not in state:  # rotary ones
        return
    positions = state[POSITIONS]
    state[POSITIONS] = torch.cat([positions.new_zeros(offset, positions.shape[1]), positions])
    if types:
        rows = positions.new_zeros(types, positions.shape[1])
        if types > 1 and CONTEXT in state:
            rows[1] = state.pop(CONTEXT)
        state[TOKEN_TYPES] = rows


def split_projections(state: State) -> None:
    """Queries, keys and values as layers of their own, where a source has one for all; changes the state in place."""
    for key in [key for key in state if f".{QKV}." in key]:
        for name, part in zip("qkv", state.pop(key).chunk(3), strict=True):
            state[key.replace(QKV, f"attention.{name}")] = part.clone()


def join_projections(state: State) -> None:
    """The way back of :func:`split_projections`."""
    for key in [key for key in state if ".attention.q." in key]:
        parts = [state.pop(key.replace(".attention.q.", f".attention.{name}.")) for name in "qkv"]
        state[key.replace("attention.q", QKV)] = torch.cat(parts)


def split_span_head(state: State) -> None:
    """Start and end of an answer as layers of their own, where there is a head for them; changes the state in place."""
    for part in ("weight", "bias"):
        if f"{QA}.{part}" in state:
            start, end = state.pop(f"{QA}.{part}").split(1)
            state |= {f"{SPAN_HEAD}start.{part}": start.clone(), f"{SPAN_HEAD}end.{part}": end.clone()}


def join_span_head(state: State) -> None:
    """The way back of :func:`split_span_head`."""
    for part in ("weight", "bias"):
        if f"{SPAN_HEAD}start.{part}" in state:
            rows = [state.pop(f"{SPAN_HEAD}{name}.{part}") for name in ("start", "end")]
            state[f"{QA}.{part}"] = torch.cat(rows)

"""How far a LittleBird layer attends from where a layer of its teacher does, composed and compared part by part.

Legend: B batch, H heads, L tokens, S pack vectors, b block size.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from fairseq_littlebird.attention.effective_attention import (
    ALL,
    effective_attention,
    full_attention_probabilities,
    pack_attention_probabilities,
)
from fairseq_littlebird.attention.internals import FullAttentionInternals, LittleBirdInternals
from fairseq_littlebird.modules.config import LittleBirdConfig
from fairseq_littlebird.objectives.attention_alignment import chunked_attention_kl
from fairseq_littlebird.objectives.chunked import chunk_length, chunked_sum

InternalsT = TypeVar("InternalsT", FullAttentionInternals, LittleBirdInternals)


def layer_kl(
    teacher: FullAttentionInternals,
    student: LittleBirdInternals,
    positions: Tensor | None,
    padding_mask: Tensor,
    config: LittleBirdConfig,
    heads: str = "paired",
    queries: slice = ALL,
    is_padded: bool = True,
) -> Tensor:
    """KL(teacher ‖ student) of one layer's attention, mean over the heads, summed over the unpadded queries.

    Without a pack stream the student sees its window alone, and so is the teacher taken.

    Args:
        teacher, student: the layers' attention internals.
        positions: the student's position ids <integer>[B, L], or None.
        padding_mask: <bool>[B, L], True = padding.
        config: the student's.
        heads: see :func:`attention_kl`.
        queries: the positions that count.
        is_padded: whether the mask masks anything.
    """
    (B, H, L, _), S = student.q.shape, config.pack_size
    asked = len(range(*queries.indices(L)))
    # few sequences with all queries: each slice of queries has a gradient with respect to all keys
    count = chunk_length(asked * H * (L + S), student.q.device)
    teachers, students, masks = _in_batches(teacher, count), _in_batches(student, count), padding_mask.split(count)
    known = [None] * len(masks) if positions is None else positions.expand(B, -1).split(count)
    parts = zip(teachers, students, known, masks, strict=True)
    return torch.stack([_batch_kl(*part, config, heads, queries, is_padded) for part in parts]).sum()


def _in_batches(internals: InternalsT, count: int) -> list[InternalsT]:
    """Those of ``count`` sequences each; split once, so that their gradients are joined once."""
    parts = {name: t.split(count) for name, t in internals._asdict().items() if isinstance(t, Tensor) and t.dim() == 4}
    batches = zip(*parts.values(), strict=True)
    return [internals._replace(**dict(zip(parts, batch, strict=True))) for batch in batches]


def _batch_kl(
    teacher: FullAttentionInternals,
    student: LittleBirdInternals,
    positions: Tensor | None,
    padding_mask: Tensor,
    config: LittleBirdConfig,
    heads: str,
    queries: slice,
    is_padded: bool,
) -> Tensor:
    """:func:`layer_kl`, some queries of all sequences at a time."""
    (B, H, L, _), S, b = student.q.shape, config.pack_size, config.block_size
    padding = padding_mask if is_padded else None
    chunk = chunk_length(B * H * (L + S), student.q.device)
    by_name = {name: t for name, t in student._asdict().items() if t is not None}

    def of_teacher(queries: slice) -> Tensor:
        return full_attention_probabilities(teacher, padding, queries, None if S else b)

    def divergence(layer: int, *tensors: Tensor) -> Tensor:
        internals = student._replace(**dict(zip(by_name, tensors, strict=True)))
        pack = pack_attention_probabilities(internals, padding)  # shared by all queries
        names = [name for name in by_name if name not in ("pack_q", "pack_x_k")]  # used for A_pack alone

        def of_student(queries: slice, pack: Tensor, *tensors: Tensor) -> Tensor:
            part = internals._replace(**dict(zip(names, tensors, strict=True)))
            return effective_attention(part, positions, padding, b, config.window, queries, pack)

        made_of = [pack, *(getattr(internals, name) for name in names)]
        return chunked_attention_kl(
            of_teacher, of_student, made_of, ~padding_mask, heads, positions=queries, chunk=chunk
        )

    # A_pack's gradient is taken at once like those of its queries, so that no layer keeps it
    return chunked_sum(divergence, [0], *by_name.values())


def sampled_queries(length: int, count: int) -> slice:
    """One of the pieces of ``count`` queries that a sequence falls into, each as likely; all with ``count`` 0."""
    if not 0 < count < length:
        return ALL
    start = count * int(torch.randint(-(-length // count), ()))
    return slice(start, min(start + count, length))

"""How far a student attends from where its teacher does (section 3.4, step 2; Sun et al., 2020).

Legend: B batch, L tokens, H heads, r query positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from fairseq_littlebird.objectives.chunked import chunked_sum

HEADS = ("paired", "mean")
TINY = 1e-30  # log 0 is log TINY: finite, and nothing to a probability that float32 tells from 0


def attention_kl(teacher: Tensor, student: Tensor, queries: Tensor, heads: str = "paired") -> Tensor:
    """KL(teacher ‖ student) of each query, mean over the heads, summed over the queries.

    Args:
        teacher, student: probabilities <float32 or wider>[B, H, r, L].
        queries: <bool>[B, r], those that count; padded queries do not.
        heads: ``paired`` compares equal heads, ``mean`` the means over the heads, whose counts may differ.
    Returns:
        a scalar.
    """
    if heads == "mean":
        teacher, student = teacher.mean(dim=1, keepdim=True), student.mean(dim=1, keepdim=True)
    cross_entropy, entropy = (-(teacher * (p + TINY).log()).sum(dim=3) for p in (student, teacher))  # [B, H, r]
    return (cross_entropy - entropy).mean(dim=1).masked_fill(~queries, 0.0).sum()


def chunked_attention_kl(
    teacher: Callable[[slice], Tensor],
    student: Callable[..., Tensor],
    tensors: Sequence[Tensor],
    queries: Tensor,
    heads: str = "paired",
    *,
    positions: slice = slice(None),
    chunk: int,
) -> Tensor:
    """:func:`attention_kl` of a chunk of queries at a time: memory linear in L, in the backward pass too.

    Args:
        teacher: a slice of the queries to the teacher's probabilities; no gradient goes there.
        student: a slice of the queries and the tensors to the student's probabilities.
        tensors: what the student's probabilities are made of; they get the gradients.
        queries: <bool>[B, L], those that count.
        heads: as above.
        positions: the queries to take, of all of them.
        chunk: queries at once, see :func:`objectives.chunked.chunk_length`.
    Returns:
        a scalar.
    """

    def divergence(chunk: slice, *tensors: Tensor) -> Tensor:
        return attention_kl(teacher(chunk), student(chunk, *tensors), queries[:, chunk], heads)

    first, end, _ = positions.indices(queries.shape[1])
    chunks = [slice(start, min(start + chunk, end)) for start in range(first, end, chunk)]
    return chunked_sum(divergence, chunks, *tensors)

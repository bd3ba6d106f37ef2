"""A student's answers, and its hidden states, should be like its teacher's (section 3.4, step 2).

Legend: N answers or tokens, K classes, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.objectives.chunked import chunk_length, chunked_sum


def soft_target_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T² · Σ KL(σ(teacher / T) ‖ σ(student / T)) over the answers; T² keeps the gradients' size at any temperature.

    Some answers at a time, since beside each the K classes of a vocabulary take several times the logits' memory.

    Args:
        student_logits, teacher_logits: <float>[N, K]; -∞ in both for classes that are none.
        temperature: T > 0.
    Returns:
        a scalar, float32 at least.
    """
    length = chunk_length(student_logits.shape[1], student_logits.device)
    # in pieces, so that the gradient of one costs nothing for the others
    student, teacher = student_logits.split(length), teacher_logits.split(length)

    def divergence(n: int, *student: Tensor) -> Tensor:
        log_p, log_q = (log_probabilities(logits[n], temperature) for logits in (teacher, student))
        p = log_p.exp()
        return (p * (log_p - log_q)).where(p > 0, 0.0).sum()

    return temperature**2 * chunked_sum(divergence, range(len(student)), *student)


def log_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """log σ(logits / T), float32 at least."""
    wide = torch.promote_types(logits.dtype, torch.float32)
    return (logits.to(wide) / temperature).log_softmax(dim=-1)


def hidden_state_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Σ ‖student − teacher‖² / ‖teacher‖² over the tokens: 0 for equal states, 1 for states of 0.

    Relative, so that its weight means the same for models of any width and scale.

    Args:
        student, teacher: hidden states <float>[N, C].
    Returns:
        a scalar, float32 at least.
    """
    wide = torch.promote_types(student.dtype, torch.float32)
    student, teacher = student.to(wide), teacher.to(wide)
    return ((student - teacher).square().sum(dim=1) / teacher.square().sum(dim=1)).sum()

"""Soft targets: what a student should answer is what its teacher answers (section 3.4, step 2)."""

from __future__ import annotations

from torch import Tensor


def soft_target_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T² · Σ KL(σ(teacher / T) ‖ σ(student / T)) over the rows; T² keeps the gradients' size at any temperature.

    Args:
        student_logits, teacher_logits: <float>[…, K]; -∞ in both for classes that are none.
        temperature: T > 0.
    Returns:
        a scalar, float32 at least.
    """
    student, teacher = (
        (logits if logits.itemsize > 4 else logits.float()).div(temperature).log_softmax(dim=-1)
        for logits in (student_logits, teacher_logits)
    )
    p = teacher.exp()
    return temperature**2 * (p * (teacher - student)).where(p > 0, 0.0).sum()

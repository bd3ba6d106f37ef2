"""The attention of an answer along its document, in few numbers."""

from __future__ import annotations

import numpy as np

from fairseq_littlebird.inference.evidence import Explanation

BARS = 300
"""At most."""


def attention_bars(explanation: Explanation, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Attention by place in the document, in equal parts of it.

    Args:
        explanation: of the answer.
        length: of the document, in characters.
    Returns:
        float[n], the attention that goes to each part, and float[n], what of it goes through the pack vectors; n is
        ``BARS``, or the length where that is less.
    """
    bars = max(1, min(BARS, length))
    place = explanation.offsets[:, 0] * bars // max(1, length)
    total, through_pack = (np.bincount(place, part, bars) for part in (explanation.weights, explanation.through_pack))
    return total, through_pack

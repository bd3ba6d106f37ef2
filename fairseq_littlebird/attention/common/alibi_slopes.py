"""ALiBi's slopes."""

from __future__ import annotations

import math


def alibi_slopes(num_heads: int) -> list[float]:
    """ALiBi's geometric slopes (Press et al., 2021): 2^(-8/H), 2^(-16/H), …

    A head count that is not a power of two takes the slopes of the power below it, then every other slope
    of the power above.
    """
    power = 2 ** math.floor(math.log2(num_heads))
    slopes = [2 ** (-8 * (h + 1) / power) for h in range(power)]
    between = [2 ** (-8 * (h + 1) / (2 * power)) for h in range(0, 2 * power, 2)]
    return slopes + between[: num_heads - power]

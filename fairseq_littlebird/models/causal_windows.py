"""Windows and dilations of a language model's layers, as options give them."""

from __future__ import annotations

from fairseq_littlebird.models.longformer import numbers


def windows_of_layers(text: str, layers: int) -> tuple[int, ...]:
    """One window for all layers, a comma list, or ``FIRST-LAST``: doubled, or halved, from layer to layer as needed.

    ``32-512`` for 12 layers is 32, 32, 64, 64, 64, 128, 128, 256, 256, 256, 512, 512.

    Args:
        text: the option.
        layers: how many.
    Raises:
        ValueError: it is neither.
    """
    first, dash, last = str(text).partition("-")
    if not dash:
        return numbers("attention window", text, layers)
    ends = [int(end) if end.strip().isdecimal() else 0 for end in (first, last)]
    smaller, larger = sorted(ends)
    doublings = (larger // max(smaller, 1)).bit_length() - 1
    if smaller < 1 or smaller << doublings != larger:
        raise ValueError(f"attention window {text!r} is not FIRST-LAST, the one a doubling or more of the other")
    steps = [(2 * layer * doublings + layers - 1) // max(2 * (layers - 1), 1) for layer in range(layers)]
    rising = tuple(smaller << step for step in steps)
    return rising if ends[0] == smaller else rising[::-1]


def dilations_of_layers(text: str, layers: int, heads: int) -> tuple[tuple[int, ...], ...]:
    """One dilation for all, a comma list with one per head, or ``/`` between such lists with one per layer.

    Args:
        text: the option, such as ``1/1/2,2,1,1``.
        layers, heads: how many.
    Raises:
        ValueError: it is none of these.
    """
    given = tuple(numbers("attention dilation", of_layer, heads) for of_layer in str(text).split("/"))
    return given * layers if len(given) == 1 else given

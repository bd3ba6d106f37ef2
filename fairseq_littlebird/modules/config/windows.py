"""Windows and dilations of layers and heads: how options give them, and what fits."""

from __future__ import annotations

from collections.abc import Sequence

LayersDilations = tuple[tuple[int, ...], ...]


def windows_of_layers(text: str, layers: int) -> tuple[int, ...]:
    """One window for all layers, a comma list, or ``FIRST-LAST``: doubled, or halved, from layer to layer as needed.

    ``32-512`` for 12 layers is 32, 32, 64, 64, 64, 128, 128, 256, 256, 256, 512, 512.

    Args:
        text: the option.
        layers: how many.
    Raises:
        ValueError: it is none of these.
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


def dilations_of_layers(text: str, layers: int, heads: int) -> LayersDilations:
    """One dilation for all, a comma list with one per head, or ``/`` between such lists with one per layer.

    Args:
        text: the option, such as ``1/1/2,2,1,1``.
        layers, heads: how many.
    Raises:
        ValueError: it is none of these.
    """
    given = tuple(numbers("attention dilation", of_layer, heads) for of_layer in str(text).split("/"))
    return given * layers if len(given) == 1 else given


def repeated_windows(text: str, layers: int) -> tuple[int, ...]:
    """A comma list of windows, repeated to as many as there are layers: ``0,128,128`` is every third layer's 0.

    Args:
        text: the option.
        layers: how many.
    Raises:
        ValueError: it is no such list, or longer than there are layers.
    """
    given = numbers("attention window", text, 1)
    if len(given) > layers:
        raise ValueError(f"{len(given)} attention windows do not fit {layers} layers")
    return (given * layers)[:layers]


def numbers(name: str, text: str, count: int) -> tuple[int, ...]:
    """A comma list, or one number for all of ``count``. Raises ValueError where it is neither."""
    try:
        given = tuple(int(word) for word in str(text).split(","))
    except ValueError:
        raise ValueError(f"{name} {text!r} is neither a whole number nor a comma list of them") from None
    return given * count if len(given) == 1 else given


def check_windows(windows: Sequence[int], dilations: LayersDilations, layers: int, heads: int) -> None:
    """Raises ValueError for an odd window, or unless there is one per layer, and a dilation per layer and head."""
    if len(windows) != layers:
        raise ValueError(f"{len(windows)} attention windows do not fit {layers} layers")
    if len(dilations) != layers:
        raise ValueError(f"attention dilations of {len(dilations)} layers do not fit {layers} layers")
    for window in windows:
        if window < 2 or window % 2:
            raise ValueError(f"attention window {window} is not an even number of at least 2")
    for of_layer in dilations:
        if len(of_layer) != heads:
            raise ValueError(f"{len(of_layer)} attention dilations do not fit {heads} heads")
        for dilation in of_layer:
            if dilation < 1:
                raise ValueError(f"attention dilation {dilation} is not positive")

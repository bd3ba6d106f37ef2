"""The matrix products that ``longformer_lm`` cannot do without, and its attention alone.

Legend: B texts, L tokens of each, C width, H heads, D head width, w window, d dilation, b block size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_littlebird.attention.causal_window import alibi_bias, causal_window_attention
from fairseq_littlebird.attention.causal_window.blockwise import query_block_size
from fairseq_littlebird.attention.common.alibi_slopes import alibi_slopes
from fairseq_littlebird.attention.common.dilation import runs
from fairseq_littlebird.benchmarks.floor import Product, floor_run
from fairseq_littlebird.benchmarks.language_model_workload import PARTS, LanguageModelling
from fairseq_littlebird.benchmarks.timing import FLOOR
from fairseq_littlebird.modules.config.windows import dilations_of_layers, windows_of_layers


class Run(nn.Module):
    """What is timed in place of a model.

    Args:
        once: one run.
    """

    def __init__(self, once: Callable[[], object]) -> None:
        super().__init__()
        self.once = once


def floor(of: LanguageModelling) -> Run:
    """The products alone, into buffers that are there already; with gradients three times as many."""
    return Run(floor_run(products(of), of))


def products(of: LanguageModelling) -> list[Product]:
    """Those of all layers and of the output layer, or of the windows alone, forward; of generation, of T tokens."""
    writes = of.mode == "generation"
    tokens, times = (of.batch, of.tokens) if writes else (of.batch * of.length, 1)
    C, inner = of.width, of.ffn_width
    found: list[Product] = []
    for window, dilations in _layers(of):
        if of.part == PARTS[0]:
            found += [
                Product("projections", 1, tokens, C, C, 4 * times),
                Product("feed-forward", 1, tokens, C, inner, times),
                Product("feed-forward", 1, tokens, inner, C, times),
            ]
        for heads, dilation in runs(dilations):
            found += _window_products(of, heads.stop - heads.start, window, dilation)
    if of.part == PARTS[0]:
        found.append(Product("output layer", 1, tokens, C, of.vocabulary, times))
    return found


def _layers(of: LanguageModelling) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Window and dilations of each."""
    dilations = dilations_of_layers(of.dilations, of.layers, of.heads)
    return zip(windows_of_layers(of.windows, of.layers), dilations, strict=True)


def _window_products(of: LanguageModelling, heads: int, window: int, dilation: int) -> list[Product]:
    """Scores and context of all blocks, each with the w keys before it, as far as there are any, and its own."""
    D, blocks = of.width // of.heads, Counter[tuple[int, int]]()
    w = min(window, (of.length - 1) // dilation)
    if of.mode == "generation":
        blocks[1, w + 1] = of.batch * of.tokens
    else:
        L = -(-of.length // dilation)
        b = query_block_size(w, L)
        for start in range(0, L, b):
            m = min(b, L - start)
            blocks[m, min(w, start) + m] += of.batch * dilation
    return [
        Product("windows", heads, m, k, n, times)
        for (m, keys), times in blocks.items()
        for k, n in ((D, keys), (keys, D))
    ]


def window_attention(of: LanguageModelling) -> Run:
    """Causal windows with ALiBi, layer after layer."""
    slopes = torch.tensor(alibi_slopes(of.heads), device=of.device)

    def attend(q: Tensor, k: Tensor, v: Tensor, window: int, dilations: tuple[int, ...]) -> Tensor:
        windows = (min(window, of.length - 1),) * of.heads
        bias = alibi_bias(slopes, windows, dilations)
        return causal_window_attention(q, k, v, None, windows, dilations, bias)

    return _attention(of, attend)


def full_attention(of: LanguageModelling) -> Run:
    """Through torch's fused attention, layer after layer."""
    return _attention(of, lambda q, k, v, *_: F.scaled_dot_product_attention(q, k, v, is_causal=True))


def _attention(of: LanguageModelling, attend: Callable[[Tensor, Tensor, Tensor, int, tuple[int, ...]], Tensor]) -> Run:
    """Of random queries, keys and values <float32>[B, H, L, D], laid out as a layer's: a token's heads together."""
    shape = of.batch, of.length, of.heads, of.width // of.heads
    q, k, v = (of.floating(*shape).transpose(1, 2).requires_grad_(of.backward) for _ in range(3))
    gradient, layers = of.floating(*shape).transpose(1, 2), [*_layers(of)]

    def once() -> None:
        for window, dilations in layers:
            with torch.set_grad_enabled(of.backward):
                result = attend(q, k, v, window, dilations)
            if of.backward:
                result.backward(gradient)

    return Run(once)


ATTENTIONS = {"longformer_lm": window_attention, "full-sdpa": full_attention, FLOOR: floor}
"""What is measured of the attention alone."""

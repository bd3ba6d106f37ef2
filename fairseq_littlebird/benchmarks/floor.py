"""The matrix products that a LittleBird layer cannot do without, and nothing else: the floor of its time.

Legend: B sequences, T unpadded tokens of all sequences, ℓ of one, C width, F width of the feed-forward, H heads, D head
width, S pack size, b block size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from fairseq_littlebird.benchmarks.workload import Sizes, Workload

if TYPE_CHECKING:
    from fairseq_littlebird.benchmarks.language_model_workload import LanguageModelling


class Product(NamedTuple):
    """``times`` products of [batch, m, k] and [batch, k, n]."""

    part: str
    batch: int
    m: int
    k: int
    n: int
    times: int = 1

    @property
    def flops(self) -> int:
        return 2 * self.batch * self.m * self.k * self.n * self.times


def layer_products(sizes: Sizes, lengths: Sequence[int], queries: int = 0) -> list[Product]:
    """One layer's, forward.

    Args:
        sizes: of the layer.
        lengths: ℓ of each sequence; padding costs nothing.
        queries: how many stand together in a product of the windows; 0: a block's.
    """
    T, C, F, S = sum(lengths), sizes.width, sizes.ffn_width, sizes.pack_size
    inner = 2 * F if sizes.modernbert else F
    products = [
        Product("projections", 1, T, C, C, 6 if S else 4),  # Q, K, V, output; pack K, V
        Product("feed-forward", 1, T, C, inner),
        Product("feed-forward", 1, T, F, C),
    ]
    if S:
        products.append(Product("projections of P", 1, len(lengths) * S, C, C, 3))  # pack Q; K, V of C_P
    for length in lengths:
        products += window_products(sizes, length, queries)
        if S:
            H, D = sizes.heads, sizes.head_width
            products += [Product("pack", H, S, D, length), Product("pack", H, S, length, D)]
    return products


def window_products(sizes: Sizes, length: int, queries: int = 0) -> list[Product]:
    """Scores and context of one sequence: every query with S + 4b keys, or with S + ℓ where that is less."""
    H, D = sizes.heads, sizes.head_width
    keys = sizes.pack_size + min(4 * sizes.block_size, length)
    whole, rest = divmod(length, queries or sizes.block_size)
    groups = [(queries or sizes.block_size, whole)] * (whole > 0) + [(rest, 1)] * (rest > 0)
    return [Product("windows", H, m, k, n, times) for m, times in groups for k, n in ((D, keys), (keys, D))]


def together(workload: Workload) -> int:
    """Queries in a product of the windows: a block's stay in a core's cache; an accelerator wants all at once."""
    return 0 if torch.device(workload.device).type == "cpu" else workload.length


def floor_run(products: Sequence[Product], workload: Workload | LanguageModelling) -> Callable[[], None]:
    """The products, ready to run into buffers that are there already; with backward three times as many.

    Args:
        products: of all layers.
        workload: says type, device and mode.
    """
    steps = []
    for product in products:
        left = workload.floating(product.batch, product.m, product.k)
        right = workload.floating(product.batch, product.n, product.k).transpose(1, 2)  # as weights and keys lie
        out = workload.floating(product.batch, product.m, product.n)
        if product.batch == 1:
            steps.append((torch.mm, left[0], right[0], out[0], product.times))
        else:
            steps.append((torch.bmm, left, right, out, product.times))
    rounds = 3 if workload.backward else 1

    def run() -> None:
        for _ in range(rounds):
            for multiply, left, right, out, times in steps:
                for _ in range(times):
                    multiply(left, right, out=out)

    return run

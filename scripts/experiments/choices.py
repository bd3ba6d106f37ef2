"""What the CPU path of a layer is made of, each beside what was not chosen: base size, one layer, milliseconds.

    python choices.py [--length 2048] [--threads 2] [--runs 9]

Everything of one question runs in turn; medians, fastest and slowest.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_littlebird.attention import BiALiBi, absorbed_pack_attention, pack_attention, unpack_window_attention
from fairseq_littlebird.attention.common.dropout import dropout
from fairseq_littlebird.benchmarks.timing import interleaved
from fairseq_littlebird.modules import feed_forward
from fairseq_littlebird.modules.feed_forward import FeedForward, normed_feed_forward

H, D, S, b = 12, 64, 64, 64
C, INNER = H * D, 3072
Runs = dict[str, Callable[[], object]]


def heads(x: Tensor) -> Tensor:
    return x.unflatten(-1, (H, D)).transpose(1, 2)


def dropouts(length: int) -> Runs:
    """Dropout of hidden states, by torch and from raw bits."""
    x = torch.randn(1, length, C)
    return {"torch's dropout": lambda: F.dropout(x, 0.1), "from raw bits": lambda: dropout(x, 0.1)}


def packs(length: int) -> Runs:
    """Pack attention, forward and backward, with keys and values for all tokens and with its projections absorbed."""
    x, q = torch.randn(1, length, C, requires_grad=True), torch.randn(1, H, S, D, requires_grad=True)
    k, v = nn.Linear(C, C), nn.Linear(C, C)
    return {
        "keys and values": lambda: pack_attention(q, heads(k(x)), heads(v(x))).sum().backward(),
        "absorbed": lambda: absorbed_pack_attention(q, x, k.weight, k.bias, v.weight, v.bias).sum().backward(),
    }


def feed_forwards(length: int) -> Runs:
    """The half of a layer from the attention's sum on, forward and backward: whole, and in pieces of n tokens."""
    norms, ffn = (nn.LayerNorm(C), nn.LayerNorm(C)), FeedForward(C, INNER)
    r = torch.randn(1, length, C, requires_grad=True)

    def whole() -> None:
        a = norms[0](r)
        norms[1](ffn(a) + a).sum().backward()

    def pieces(n: int) -> Callable[[], None]:
        def run() -> None:
            feed_forward.CHUNK_SIZE = n
            normed_feed_forward(r, norms[0], ffn, norms[1], 0.0).sum().backward()

        return run

    return {"whole": whole} | {f"pieces of {n}": pieces(n) for n in (256, 512, 1024, 2048)}


def windows(length: int, sizes: tuple[int, int, int], backward: bool) -> Runs:
    """Unpack and window attention by backend, at other sizes too: where is a block too small to be walked?"""
    heads_, width, block = sizes
    lengths = (length, length, length, block, block)
    tensors = [torch.randn(1, n, heads_, width).transpose(1, 2).requires_grad_(backward) for n in lengths]
    slopes = BiALiBi(heads_)

    def run(backend: str) -> None:
        with torch.set_grad_enabled(backward):
            result = unpack_window_attention(*tensors, slopes, None, None, block, backend=backend)
        if backward:
            result.sum().backward()

    return {backend: lambda backend=backend: run(backend) for backend in ("blockwise", "unfolded")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    length = options.length
    questions = {
        "dropout of hidden states": dropouts(length),
        "pack attention, forward + backward": packs(length),
        "feed-forward and norms, forward + backward": feed_forwards(length),
    }
    for sizes in ((4, 16, 32), (4, 64, 64), (H, D, b)):
        for backward in (False, True):
            name = f"window, {sizes[0]} heads of {sizes[1]}, blocks of {sizes[2]}, forward{' + backward' * backward}"
            questions[name] = windows(length, sizes, backward)
    for question, runs in questions.items():
        print(question, flush=True)
        for name, (median, fastest, slowest) in interleaved(runs, options.runs).items():
            print(f"  {name:<16} {median:>8.1f}  [{fastest:.1f} – {slowest:.1f}]", flush=True)


if __name__ == "__main__":
    main()

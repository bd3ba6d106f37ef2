"""How wrong gradients that are summed over many tokens are in half precision on a CPU, relative to float32.

    python half_precision_gradients.py

LayerNorm's weight and bias by PyTorch and by the plugin, and token embeddings by PyTorch, whose tokens are drawn as
words are (Zipf). Errors are norms, relative to that of the gradient in float32 of the same rounded numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_littlebird.layer_norm import LayerNorm

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def errors(function: Callable[..., Tensor], inputs: list[Tensor], grad: Tensor) -> list[float]:
    """Of the gradient of each input, in percent.

    Args:
        function: of the inputs.
        inputs: <half>[...] each.
        grad: <half>, of the output.
    """
    found = []
    for dtype in (grad.dtype, torch.float32):
        own = [t.detach().to(dtype, copy=True).requires_grad_() for t in inputs]
        found.append(torch.autograd.grad(function(*own), own, grad.to(dtype)))
    return [100 * float((half.float() - whole).norm() / whole.norm()) for half, whole in zip(*found, strict=True)]


def norm_errors(norm: nn.LayerNorm, tokens: int, width: int, dtype: torch.dtype) -> list[float]:
    """Of a LayerNorm's weight and bias."""
    x, grad = torch.randn(tokens, width, dtype=dtype), (torch.randn(tokens, width) + 0.1).to(dtype)

    def normed(weight: Tensor, bias: Tensor) -> Tensor:
        return torch.func.functional_call(norm, {"weight": weight, "bias": bias}, (x.to(weight.dtype),))

    weight = torch.randn(width) * 0.1 + 1
    return errors(normed, [weight.to(dtype), torch.zeros(width, dtype=dtype)], grad)


def embedding_error(tokens: int, width: int, dtype: torch.dtype, words: int = 30_000) -> float:
    """Of the table of token embeddings."""
    text = torch.multinomial(1 / torch.arange(1.0, words + 1), tokens, replacement=True)
    grad = (torch.randn(tokens, width) + 0.1).to(dtype)
    return errors(lambda table: F.embedding(text, table), [torch.zeros(words, width, dtype=dtype)], grad)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 4096, 32_768], help="(%(default)s)")
    parser.add_argument("--width", type=int, default=384, help="(%(default)s)")
    options = parser.parse_args()
    torch.manual_seed(0)
    print("| errors in % | tokens | PyTorch's LayerNorm: weight, bias | the plugin's | embeddings |")
    print("|---|---|---|---|---|")
    for name, dtype in DTYPES.items():
        for tokens in options.tokens:
            theirs, ours = (
                ", ".join(f"{x:.1f}" for x in norm_errors(kind(options.width), tokens, options.width, dtype))
                for kind in (nn.LayerNorm, LayerNorm)
            )
            print(f"| {name} | {tokens:,} | {theirs} | {ours} | {embedding_error(tokens, options.width, dtype):.1f} |")


if __name__ == "__main__":
    main()

"""What is measured: an encoder's sizes, and what it is given to do.

Legend: B batch, L tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MODES = ("forward", "forward+backward")
DTYPES = ("float32", "bfloat16", "float16")
PAD = 1


@dataclass(frozen=True)
class Sizes:
    """Of an encoder's layers; the pack size is LittleBird's alone, the block size its and BigBird-ITC's.

    Layers have BERT's form, or ModernBERT's, whose feed-forward network is gated and has three matrices of the width.

    Raises:
        ValueError: sizes that do not fit together; the text says which.
    """

    width: int
    heads: int
    ffn_width: int
    pack_size: int
    block_size: int
    modernbert: bool = False

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(f"{self.heads} attention heads do not divide a width of {self.width}")

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def plain_ffn_width(self) -> int:
        """Of a feed-forward network of two matrices with as many weights."""
        return self.ffn_width * 3 // 2 if self.modernbert else self.ffn_width

    @property
    def gated_ffn_width(self) -> int:
        """Of a feed-forward network of three matrices with as many weights."""
        return self.ffn_width if self.modernbert else 2 * self.ffn_width // 3


SIZES = {
    "tiny": Sizes(64, 4, 256, 32, 32),
    "minilm": Sizes(384, 12, 1536, 64, 64),  # of the distilled encoders that are deployed on CPUs
    "base": Sizes(768, 12, 3072, 64, 64),
    "large": Sizes(1024, 16, 4096, 64, 64),
    "modernbert_base": Sizes(768, 12, 1152, 64, 64, modernbert=True),
}
BERT_SIZES = tuple(name for name, sizes in SIZES.items() if not sizes.modernbert)
MODERNBERT_LAYERS = 22


@dataclass(frozen=True)
class Workload:
    """One pass over one batch.

    Args:
        sizes: of the layers.
        layers: how many.
        length: L.
        batch: B.
        padding: share of padded tokens; their number rises evenly from sequence to sequence.
        mode: one of ``MODES``.
        dtype: one of ``DTYPES``.
        device: where it runs, as torch names it.
        dropout: probability, of hidden states and of attention; forward + backward alone has any.
        threads: of one process.
        compiled: whether ``torch.compile`` comes first.
        vocabulary: tokens; few by default: the layers are compared, not the embeddings.
    """

    sizes: Sizes
    layers: int
    length: int
    batch: int = 1
    padding: float = 0.0
    mode: str = MODES[0]
    dtype: str = DTYPES[0]
    device: str = "cpu"
    dropout: float = 0.0
    threads: int = 1
    compiled: bool = False
    vocabulary: int = 1000

    def encoder_sizes(self) -> dict[str, Any]:
        """Under the names of ``EncoderConfig``, of layers in BERT's form."""
        return {
            "layers": self.layers,
            "embed_dim": self.sizes.width,
            "ffn_embed_dim": self.sizes.plain_ffn_width,
            "heads": self.sizes.heads,
            "dropout": self.dropout,
            "attention_dropout": self.dropout,
        }

    @property
    def backward(self) -> bool:
        return self.mode == MODES[1]

    @property
    def torch_dtype(self) -> torch.dtype:
        dtype: torch.dtype = getattr(torch, self.dtype)
        return dtype

    def lengths(self) -> list[int]:
        """Unpadded tokens of each sequence, from the longest; their mean is (1 - padding) · L, but for rounding."""
        least, most = max(0.0, 2 * self.padding - 1), min(1.0, 2 * self.padding)
        shares = [least + (most - least) * (row + 0.5) / self.batch for row in range(self.batch)]
        return [max(1, round(self.length * (1 - share))) for share in shares]

    def tokens(self) -> Tensor:
        """Random tokens, then padding: <int64>[B, L]."""
        generator = torch.Generator().manual_seed(self.length)
        tokens = torch.randint(PAD + 1, self.vocabulary, (self.batch, self.length), generator=generator)
        for row, length in enumerate(self.lengths()):
            tokens[row, length:] = PAD
        return tokens.to(self.device)

    def floating(self, *shape: int) -> Tensor:
        """Standard normal numbers <float>[*shape], of the workload's type and on its device."""
        return torch.randn(shape).to(self.device, self.torch_dtype)

"""What language models are given to do when they are compared.

Legend: B texts, L tokens of each, T tokens to write.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from fairseq.data import Dictionary
from torch import Tensor

MODES = ("forward", "forward+backward", "generation")
PARTS = ("model", "attention")
FIRST_TOKEN = 4  # after the special ones


@dataclass(frozen=True)
class LanguageModelling:
    """What every model is given to do.

    Args:
        mode: one of ``MODES``; generation: T tokens after L.
        length, batch: L and B.
        layers, width, heads, ffn_width, vocabulary: sizes of every model.
        windows, dilations: options of the models that have windows.
        tokens: T.
        threads: of the CPU.
        device: a torch device.
        part: one of ``PARTS``; attention: that of all layers, without projections, of random queries, keys and values.
    """

    mode: str
    length: int
    batch: int = 1
    layers: int = 2
    width: int = 512
    heads: int = 8
    ffn_width: int = 2048
    vocabulary: int = 256
    windows: str = "32-512"
    dilations: str = "1"
    tokens: int = 16
    threads: int = 1
    device: str = "cpu"
    part: str = PARTS[0]

    @property
    def backward(self) -> bool:
        return self.mode == MODES[1]

    def floating(self, *shape: int) -> Tensor:
        """Standard normal numbers <float32>[*shape] on the device."""
        return torch.randn(shape).to(self.device)

    def sizes(self) -> dict[str, Any]:
        """Under the names of fairseq's language models; without dropout."""
        return {
            "decoder_layers": self.layers,
            "decoder_embed_dim": self.width,
            "decoder_ffn_embed_dim": self.ffn_width,
            "decoder_attention_heads": self.heads,
            "dropout": 0.0,
            "attention_dropout": 0.0,
        }

    def text(self) -> Tensor:
        """<int64>[B, L], the same in every call."""
        generator = torch.Generator().manual_seed(0)
        shape = (self.batch, self.length)
        return torch.randint(FIRST_TOKEN, self.vocabulary, shape, generator=generator).to(self.device)

    def task(self) -> SimpleNamespace:
        """What fairseq builds a model for: a dictionary."""
        dictionary = Dictionary()
        for n in range(self.vocabulary - len(dictionary)):
            dictionary.add_symbol(f"w{n}")
        return SimpleNamespace(source_dictionary=dictionary, target_dictionary=dictionary)

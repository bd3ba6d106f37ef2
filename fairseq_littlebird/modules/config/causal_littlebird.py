"""What fixes the shape of a LittleBird language model."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_littlebird.modules.config.encoder import EncoderConfig


@dataclass(frozen=True)
class CausalLittleBirdConfig(EncoderConfig):
    """A decoder-only LittleBird: window, global block and slopes to the left alone.

    Args:
        block_size: b, tokens a block.
        pack_size: 0; any other is refused, as the paper has no causal pack.
    """

    block_size: int = 64
    pack_size: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block_size < 1:
            raise ValueError(f"block size {self.block_size} is not positive")
        if self.pack_size:
            raise ValueError(
                f"pack size {self.pack_size}: causal masking cannot be applied to pack and unpack attention "
                "(LittleBird's paper, Limitations); leave the pack size at 0"
            )
        if self.word_embed_dim not in (0, self.embed_dim):
            raise ValueError(f"token embeddings of width {self.word_embed_dim}: the output layer has the model's width")

    @property
    def has_positions(self) -> bool:
        return False

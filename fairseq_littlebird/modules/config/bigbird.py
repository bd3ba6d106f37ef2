"""What fixes the shape of a BigBird-ITC encoder."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_littlebird.attention.bigbird.global_blocks import GLOBAL_BLOCKS
from fairseq_littlebird.attention.bigbird.random_blocks import RANDOM_ATTENTION
from fairseq_littlebird.modules.config.encoder import EncoderConfig


@dataclass(frozen=True)
class BigBirdConfig(EncoderConfig):
    """BigBird-ITC.

    Args:
        block_size: b, tokens a block.
        random_blocks: R, blocks that a block sees beyond its window and the global ones.
        random_attention: ``seeded``, or ``first_block`` for what transformers computes outside training; see
            :func:`random_blocks`.
        seed: of the random blocks.
        global_blocks: one of ``GLOBAL_BLOCKS``.
    """

    block_size: int = 64
    random_blocks: int = 3
    random_attention: str = "seeded"
    seed: int = 0
    global_blocks: str = "first_last"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block_size < 1:
            raise ValueError(f"block size {self.block_size} is not positive")
        if self.random_blocks < 0:
            raise ValueError(f"{self.random_blocks} random blocks are negative")
        if self.random_attention not in RANDOM_ATTENTION:
            raise ValueError(f"random attention {self.random_attention!r} is not one of {', '.join(RANDOM_ATTENTION)}")
        if self.global_blocks not in GLOBAL_BLOCKS:
            raise ValueError(f"global blocks {self.global_blocks!r} are not one of {', '.join(GLOBAL_BLOCKS)}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"random seed {self.seed} is not between 0 and {2**32 - 1}")

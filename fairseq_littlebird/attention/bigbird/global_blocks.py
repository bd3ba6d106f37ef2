"""Which two of a sequence's blocks see every token and are seen by every token.

Legend: B batch, n blocks.
"""

from __future__ import annotations

from torch import Tensor

GLOBAL_BLOCKS = ("first_last", "first_two")
"""``first_last``: the released code and transformers. ``first_two``: the 128 tokens of the paper's appendix E.2."""


def second_global_block(global_blocks: str, last: Tensor) -> Tensor:
    """The global block beside block 0, <int64>[B or 1]; of a sequence of one block, block 0 itself.

    Args:
        global_blocks: one of ``GLOBAL_BLOCKS``.
        last: <int64>[B or 1], the block that each sequence ends in.
    """
    return last if global_blocks == "first_last" else last.clamp(max=1)


def local_blocks(global_blocks: str, blocks: int) -> slice:
    """The query blocks of a sequence of so many blocks that are not global."""
    return slice(1, max(1, blocks - 1)) if global_blocks == "first_last" else slice(2, max(2, blocks))

"""Sequences without a token: refused alike by every attention, the linear paths and their oracles."""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird import attention

Q, PACK = torch.zeros(1, 2, 0, 4), torch.zeros(1, 2, 3, 4)
OWNER, BLOCKS = torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, 2, 0, 1, dtype=torch.long)
LINEAR = torch.zeros(8, 8), torch.zeros(8)
EMPTY = {
    "unpack_window_attention": (Q, Q, Q, PACK, PACK, None, None, None, 4),
    "pack_attention": (PACK, Q, Q),
    "absorbed_pack_attention": (PACK, torch.zeros(1, 0, 8), *LINEAR, *LINEAR),
    "bigbird_attention": (Q, Q, Q, None, 4, BLOCKS),
    "longformer_attention": (Q, Q, Q, Q, Q, Q, None, None, 4, (1, 1)),
    "causal_window_attention": (Q, Q, Q, None, (4, 4), (1, 1)),
    "causal_block_window_attention": (Q, Q, Q, attention.CausalBiALiBi(2), None, 4),
    "etc_attention": (Q, Q, Q, PACK, OWNER, OWNER.bool(), 4),
}
EMPTY |= {f"dense_{name}": given for name, given in EMPTY.items() if hasattr(attention, f"dense_{name}")}


@pytest.mark.parametrize("name", EMPTY)
def test_no_token_at_all(name):
    with pytest.raises(ValueError, match="^sequences of 0 tokens"):
        getattr(attention, name)(*EMPTY[name])

"""The attentions of fairseq's decoder layer, by PyTorch's fused kernels.

fairseq's own keeps the keys and values of cross-attention once a beam unless it is told the number of beams, and then
takes every later batch, those of training included, for one of so many beams. Here that number is read off the shapes.
The parameters have fairseq's names.

Legend: B documents, k beams of each (1 in training), T target tokens, L source tokens, C hidden width, H heads, D head
width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from fairseq.incremental_decoding_utils import with_incremental_state
from torch import Tensor, nn

from fairseq_littlebird.attention.common.masked_softmax import fused_masked_attention, masked_attention
from fairseq_littlebird.models.beams import documents_of
from fairseq_littlebird.modules.attention.heads import merge_heads, split_heads

IncrementalState = dict[str, dict[str, Any]]
STATE = "attention"


class EncoderMemory(NamedTuple):
    """What cross-attention reads."""

    states: Tensor  # <float>[L, B, C], values, and keys
    key_positions: Tensor | None = None  # <float>[B, L, C], added to the keys alone


class DecoderAttention(nn.Module):
    """Four projections.

    Args:
        embed_dim, num_heads: C and H.
        dropout: of the attention probabilities.
        bias: whether the projections have biases.
    """

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.dropout = num_heads, embed_dim // num_heads, dropout
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(embed_dim, embed_dim, bias) for _ in range(4))

    def _get_input_buffer(self, incremental_state: IncrementalState | None) -> dict[str, Tensor]:
        """What fairseq's decoder layer asks of its self-attention."""
        return self.get_incremental_state(incremental_state, STATE) or {}  # type: ignore[operator,no-any-return]

    def heads(self, x: Tensor) -> Tensor:
        """<float>[B, n, C] to [B, H, n, D]."""
        return split_heads(x, self.num_heads)

    def dropout_p(self) -> float:
        return self.dropout if self.training else 0.0


@with_incremental_state
class DecoderSelfAttention(DecoderAttention):
    """Causal attention of the target over itself; what is padded on the right is after all that reads."""

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        incremental_state: IncrementalState | None = None,
        attn_mask: Tensor | None = None,
        **unused: Any,
    ) -> tuple[Tensor, None]:
        """
        Args:
            query: <float>[T, B, C], also key and value; T is 1 where ``incremental_state`` holds what came before.
            incremental_state: keys and values <float>[B, H, T, D] of what came before, which these are added to.
            attn_mask: whether attention is causal: None if not, or if there is nothing after the query.
        Returns:
            <float>[T, B, C], and None for attention probabilities.
        """
        x = query.transpose(0, 1)
        q, k, v = self.heads(self.q_proj(x)), self.heads(self.k_proj(x)), self.heads(self.v_proj(x))
        if incremental_state is not None:
            before = self._get_input_buffer(incremental_state)
            if before:
                k, v = torch.cat([before["k"], k], dim=2), torch.cat([before["v"], v], dim=2)
            self.set_incremental_state(incremental_state, STATE, {"k": k, "v": v})  # type: ignore[operator]
        causal = attn_mask is not None
        attended = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout_p(), is_causal=causal)
        return self.out_proj(merge_heads(attended)).transpose(0, 1), None

    def reorder_incremental_state(self, incremental_state: IncrementalState, new_order: Tensor) -> IncrementalState:
        """The rows of the beams to go on with, <int64>[B · k]."""
        before = self._get_input_buffer(incremental_state)
        if before:
            chosen = {name: tensor.index_select(0, new_order) for name, tensor in before.items()}
            self.set_incremental_state(incremental_state, STATE, chosen)  # type: ignore[operator]
        return incremental_state


@with_incremental_state
class CrossAttention(DecoderAttention):
    """Attention of the target over the encoder's states, whose keys and values are there once a document.

    The k beams of a document are k queries to the same keys.
    """

    def forward(
        self,
        query: Tensor,
        key: EncoderMemory,
        value: EncoderMemory,
        key_padding_mask: Tensor | None = None,
        incremental_state: IncrementalState | None = None,
        need_weights: bool = False,
        need_head_weights: bool = False,
        **unused: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """
        Args:
            query: <float>[T, B · k, C], the beams of a document next to each other.
            key: of the B documents; also value.
            key_padding_mask: <bool>[B, L], True = padding, or None.
            incremental_state: keeps keys and values <float>[B, H, L, D] from the first step on.
            need_weights, need_head_weights: whether to return the probabilities, each head's.
        Returns:
            <float>[T, B · k, C]; and the probabilities, each head's <float>[H, B · k, T, L] or their mean
            <float>[B · k, T, L], or None.
        """
        kept = self._get_input_buffer(incremental_state)
        if not kept:
            states = key.states.transpose(0, 1)
            keys = states if key.key_positions is None else states + key.key_positions
            kept = {"k": self.heads(self.k_proj(keys)), "v": self.heads(self.v_proj(states))}
        k, v = kept["k"], kept["v"]
        if incremental_state is not None:
            beams = query.shape[1] // len(k)
            self.set_incremental_state(incremental_state, STATE, kept | {"beams": beams})  # type: ignore[operator]
        T, B = query.shape[0], len(k)
        q = self.heads(self.q_proj(query).transpose(0, 1).unflatten(0, (B, -1)).flatten(1, 2))  # [B, H, k · T, D]
        visible = None if key_padding_mask is None else ~key_padding_mask[:, None, None]
        probabilities = None
        if need_weights or need_head_weights:
            every = k.new_ones(1, dtype=torch.bool) if visible is None else visible
            attended, probabilities = masked_attention(q, k, v, every, self.dropout_p())
        elif visible is None:
            attended = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout_p())
        else:
            attended = fused_masked_attention(q, k, v, visible, self.dropout_p())
        x = self.out_proj(merge_heads(attended).unflatten(1, (-1, T)).flatten(0, 1)).transpose(0, 1)
        if probabilities is not None:
            probabilities = probabilities.unflatten(2, (-1, T)).transpose(1, 2).flatten(0, 1).transpose(0, 1)
            probabilities = probabilities if need_head_weights else probabilities.mean(dim=0)
        return x, probabilities

    def reorder_incremental_state(self, incremental_state: IncrementalState, new_order: Tensor) -> IncrementalState:
        """The documents of the beams to go on with, <int64>[B · k]; without a copy where none is finished."""
        kept = self._get_input_buffer(incremental_state)
        if kept:
            documents, _ = documents_of(new_order, len(kept["k"]), int(kept["beams"]))
            if documents is not None:
                chosen = {name: kept[name].index_select(0, documents) for name in ("k", "v")}
                self.set_incremental_state(incremental_state, STATE, kept | chosen)  # type: ignore[operator]
        return incremental_state

"""fairseq's Transformer decoder over the encoders here.

Legend: B documents, k beams of each (1 in training), T target tokens, L source tokens, C hidden width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models.transformer import TransformerConfig, TransformerDecoderBase
from fairseq.modules.transformer_layer import TransformerDecoderLayerBase
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fairseq_littlebird.input_error import InputError
from fairseq_littlebird.layer_norm import LayerNorm
from fairseq_littlebird.models.decoder_attention import CrossAttention, DecoderSelfAttention, EncoderMemory
from fairseq_littlebird.models.seq2seq_encoder import EncoderOut
from fairseq_littlebird.modules.encoder import reset_linear


class DecoderPositions(nn.Module):
    """Learned positions, row t for target token t.

    Args:
        count: how many.
        embed_dim: C.
        table: <float>[count or more, C] of another module, to share it; None for one of its own.
    """

    def __init__(self, count: int, embed_dim: int, table: nn.Parameter | None = None) -> None:
        super().__init__()
        self.max_positions = count
        self.weight = nn.Parameter(torch.empty(count, embed_dim)) if table is None else table
        if table is None:
            nn.init.normal_(self.weight, std=0.02)

    def forward(self, tokens: Tensor, incremental_state: Any = None) -> Tensor:
        """
        Args:
            tokens: <int64>[B, T], all so far.
            incremental_state: whether the last one is asked for alone.
        Returns:
            <float>[1, T, C], or [1, 1, C].
        Raises:
            InputError: more tokens than positions.
        """
        T = tokens.shape[1]
        if self.max_positions < T:
            raise InputError(f"{T} target tokens are past the {self.max_positions} positions; shorten the target")
        return self.weight[T - 1 if incremental_state is not None else 0 : T].unsqueeze(0)


class Seq2SeqDecoderLayer(TransformerDecoderLayerBase):
    """fairseq's layer with the attentions of :mod:`decoder_attention`.

    Args:
        cfg: sizes.
        attention_bias: whether the attentions' projections have biases.
    """

    def __init__(self, cfg: TransformerConfig, attention_bias: bool) -> None:
        self.attention_bias = attention_bias
        super().__init__(cfg)
        self.need_attn = False
        self.checkpoint = cfg.checkpoint_activations

    def build_self_attention(self, embed_dim: int, cfg: TransformerConfig, **unused: Any) -> DecoderSelfAttention:
        sizes = embed_dim, cfg.decoder.attention_heads, cfg.attention_dropout
        return DecoderSelfAttention(*sizes, self.attention_bias)

    def build_encoder_attention(self, embed_dim: int, cfg: TransformerConfig) -> CrossAttention:
        return CrossAttention(embed_dim, cfg.decoder.attention_heads, cfg.attention_dropout, self.attention_bias)

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """As fairseq's; recomputed in the backward pass where the model's activations are not kept."""
        if self.training and self.checkpoint:
            return checkpoint(super().forward, *inputs, use_reentrant=False, **options)
        return super().forward(*inputs, **options)


class Seq2SeqDecoder(TransformerDecoderBase):
    """fairseq's ``TransformerDecoderBase`` with learned positions, whose beams share what they read of a document.

    Args:
        cfg: sizes; see :func:`transformer_config`.
        dictionary: of its tokens.
        embed_tokens: the embeddings <float>[V, C], which are also the output layer's weights.
        positions: its positions.
        attention_bias: whether the attentions' projections have biases.
        checkpoint_activations: recompute each layer in the backward pass.
        layer_norm_eps: what every layer norm adds to the variance.
    """

    def __init__(
        self,
        cfg: TransformerConfig,
        dictionary: Dictionary,
        embed_tokens: nn.Embedding,
        positions: DecoderPositions,
        *,
        attention_bias: bool = True,
        layer_norm_eps: float = 1e-5,
        checkpoint_activations: bool = False,
    ) -> None:
        self.attention_bias = attention_bias
        super().__init__(cfg, dictionary, embed_tokens)
        self.embed_positions = positions
        self.need_attention = False
        # fairseq's forward then takes the mask of padded targets unasked; no layer reads it
        self.cross_self_attention = True
        reset_linear(self.layers)
        for module in [*self.modules()]:
            if isinstance(module, Seq2SeqDecoderLayer):
                module.checkpoint = checkpoint_activations
            for name, child in module.named_children():  # fairseq's own have another epsilon
                if isinstance(child, nn.LayerNorm):
                    setattr(module, name, LayerNorm(child.normalized_shape, layer_norm_eps))

    def build_decoder_layer(self, cfg: TransformerConfig, no_encoder_attn: bool = False) -> Seq2SeqDecoderLayer:
        return Seq2SeqDecoderLayer(cfg, self.attention_bias)

    def make_generation_fast_(self, need_attn: bool = False, **unused: Any) -> None:
        """fairseq's hook: whether attention probabilities are returned without being asked for."""
        self.need_attention = need_attn

    def extract_features(
        self,
        prev_output_tokens: Tensor,
        encoder_out: EncoderOut | None,
        incremental_state: Any = None,
        full_context_alignment: bool = False,
        alignment_layer: int | None = None,
        alignment_heads: int | None = None,
    ) -> tuple[Tensor, dict[str, Any]]:
        """As fairseq's; probabilities of cross-attention come where a layer is named, or :attr:`need_attention` is set.

        Args:
            prev_output_tokens: <int64>[B · k, T].
            encoder_out: see :meth:`Seq2SeqEncoder.forward`.
            incremental_state: of earlier steps.
            full_context_alignment: not causal.
            alignment_layer: whose probabilities ``extra["attn"]`` <float>[B · k, T, L] has.
            alignment_heads: how many heads these are the mean of.
        Returns:
            hidden states <float>[B · k, T, C], and ``extra``.
        """
        if encoder_out is not None:
            memory = EncoderMemory(encoder_out["encoder_out"][0], self.key_positions(encoder_out))
            encoder_out = dict(encoder_out) | {"encoder_out": [memory]}
        if alignment_layer is None and not self.need_attention:
            alignment_layer = -1  # none
        features: tuple[Tensor, dict[str, Any]] = super().extract_features(
            prev_output_tokens,
            encoder_out,
            incremental_state,
            full_context_alignment,
            alignment_layer,
            alignment_heads,
        )
        return features

    def key_positions(self, encoder_out: EncoderOut) -> Tensor | None:
        """What cross-attention adds to its keys <float>[B, L, C]; None for nothing."""
        return None

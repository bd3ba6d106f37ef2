"""The norm of an encoder's hidden states."""

from __future__ import annotations

from fairseq_littlebird.layer_norm import LayerNorm
from fairseq_littlebird.modules.config.encoder import EncoderConfig


def layer_norm(config: EncoderConfig, width: int = 0) -> LayerNorm:
    """With a bias where the layers' form has any.

    Args:
        config: epsilon and form.
        width: of what it norms; 0: C.
    """
    return LayerNorm(width or config.embed_dim, config.layer_norm_eps, bias=config.form.bias)

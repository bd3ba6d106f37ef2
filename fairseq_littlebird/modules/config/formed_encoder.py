"""What fixes the form of an encoder's layers: BERT's, or ModernBERT's."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_littlebird.modules.config.encoder import EncoderConfig
from fairseq_littlebird.modules.config.layer_form import LayerForm


@dataclass(frozen=True)
class FormedEncoderConfig(EncoderConfig):
    """An encoder whose layers may have ModernBERT's form (Warner et al., 2024).

    Args:
        normalize_before: norms before attention and feed forward, and one after the last layer. The first layer's
            attention has none, as the embeddings are normed already (unless a projection follows them).
        gated_feed_forward: half of the inner layer is multiplied with the activation of the other half.
        bias_free: linear layers and norms have no biases; the LM head keeps the one of its output.
    """

    normalize_before: bool = False
    gated_feed_forward: bool = False
    bias_free: bool = False

    @property
    def form(self) -> LayerForm:
        order = "pre" if self.normalize_before else "post"
        is_normed = self.normalize_before and self.word_embed_dim in (0, self.embed_dim)
        return LayerForm(order, self.gated_feed_forward, not self.bias_free, first_norm=not is_normed)

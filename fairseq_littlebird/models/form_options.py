"""The options of models whose layers may have ModernBERT's form."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from typing import Any

from fairseq.dataclass import FairseqDataclass

from fairseq_littlebird.modules.size_names import FORM


@dataclass
class FormOptions(FairseqDataclass):
    """Off, the layers have BERT's form; all on, ModernBERT's."""

    encoder_normalize_before: bool = field(
        default=False, metadata={"help": "layer norms before attention and feed forward, and one after the last layer"}
    )
    gated_feed_forward: bool = field(
        default=False,
        metadata={
            "help": "gated feed-forward layers (GeGLU), which have three matrices of the given size in place of two"
        },
    )
    bias_free: bool = field(default=False, metadata={"help": "no biases in linear layers and layer norms"})

    def form(self) -> dict[str, Any]:
        """The arguments of ``FormedEncoderConfig`` that stand here."""
        return {name: bool(getattr(self, option)) for name, option in FORM.items()}


MODERNBERT = {option: True for option in FORM.values()}
"""The options of ModernBERT's form."""
MODERNBERT_SIZES: dict[str, dict[str, Any]] = {
    "base": {
        "encoder_layers": 22,
        "encoder_embed_dim": 768,
        "encoder_ffn_embed_dim": 1152,
        "encoder_attention_heads": 12,
    },
    "large": {
        "encoder_layers": 28,
        "encoder_embed_dim": 1024,
        "encoder_ffn_embed_dim": 2624,
        "encoder_attention_heads": 16,
    },
    "tiny": {
        "encoder_layers": 3,
        "encoder_embed_dim": 64,
        "encoder_ffn_embed_dim": 168,  # as many weights as the others of this size
        "encoder_attention_heads": 4,
    },
}
"""As released; ``tiny`` is this package's."""

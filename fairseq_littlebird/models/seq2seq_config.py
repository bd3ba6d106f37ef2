"""The options that all encoder–decoder models have."""

# no postponed annotations: fairseq reads the types of the fields
import argparse
from dataclasses import dataclass, field
from typing import Any

from fairseq.models.transformer import TransformerConfig

from fairseq_littlebird.models.architectures import EncoderModelConfig, plain

FAIRSEQ_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_accurate", "relu": "relu"}
"""What fairseq calls the activations: its ``gelu_accurate`` is the approximation by tanh."""


@dataclass
class Seq2SeqModelConfig(EncoderModelConfig):
    """Sizes of the decoder beside the encoder's; their widths are the same, as they share the token embeddings."""

    max_positions: int = field(default=1024, metadata={"help": "number of learned positions of the encoder, if any"})
    decoder_layers: int = field(default=0, metadata={"help": "number of decoder layers; 0: as many as the encoder's"})
    decoder_ffn_embed_dim: int = field(
        default=0, metadata={"help": "size of the decoder's feed-forward layer; 0: the encoder's"}
    )
    decoder_attention_heads: int = field(
        default=0, metadata={"help": "number of the decoder's attention heads; 0: the encoder's"}
    )
    decoder_layerdrop: float = field(default=0.0, metadata={"help": "probability of skipping a decoder layer"})
    decoder_max_positions: int = field(
        default=1024, metadata={"help": "number of learned positions of the decoder: tokens of the longest output"}
    )

    @property
    def sizes_of_decoder(self) -> tuple[int, int, int]:
        """Layers, width of the feed-forward network, heads."""
        return (
            self.decoder_layers or self.encoder_layers,
            self.decoder_ffn_embed_dim or self.encoder_ffn_embed_dim,
            self.decoder_attention_heads or self.encoder_attention_heads,
        )


def transformer_config(cfg: Seq2SeqModelConfig, **options: Any) -> TransformerConfig:
    """The decoder's sizes as fairseq's ``TransformerDecoderBase`` takes them.

    Args:
        cfg: the model's options.
        options: of ``TransformerConfig``, in which families differ.
    Raises:
        ValueError: sizes that do not fit together.
    """
    layers, ffn_embed_dim, heads = cfg.sizes_of_decoder
    if cfg.encoder_embed_dim % heads:
        raise ValueError(f"{heads} attention heads of the decoder do not divide a width of {cfg.encoder_embed_dim}")
    if cfg.word_embed_dim not in (0, cfg.encoder_embed_dim):
        raise ValueError(f"token embeddings of width {cfg.word_embed_dim}: a decoder needs those of its own width")
    if cfg.context_type:
        raise ValueError("--context-type is of questions and contexts: an encoder–decoder has none")
    sizes = {
        "decoder_layers": layers,
        "decoder_embed_dim": cfg.encoder_embed_dim,
        "decoder_output_dim": cfg.encoder_embed_dim,
        "decoder_input_dim": cfg.encoder_embed_dim,
        "decoder_ffn_embed_dim": ffn_embed_dim,
        "decoder_attention_heads": heads,
        "decoder_layerdrop": cfg.decoder_layerdrop,
        "encoder_embed_dim": cfg.encoder_embed_dim,
        "max_target_positions": cfg.decoder_max_positions,
        "activation_fn": FAIRSEQ_ACTIVATIONS[plain(cfg.activation)],
        "dropout": cfg.dropout,
        "attention_dropout": cfg.attention_dropout,
        "activation_dropout": cfg.activation_dropout,
        "share_decoder_input_output_embed": True,
        "no_scale_embedding": True,
        "no_token_positional_embeddings": True,  # the model sets its own
    }
    return TransformerConfig.from_namespace(argparse.Namespace(**sizes | options))

"""BigBird-RoBERTa as an encoder–decoder (Zaheer et al., 2020, appendix E.5) as a fairseq model."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from typing import Any

from fairseq.data import Dictionary
from fairseq.dataclass import ChoiceEnum
from fairseq.models import register_model

from fairseq_littlebird.models.architectures import TINY, architecture
from fairseq_littlebird.models.bigbird_itc import BigBirdOptions
from fairseq_littlebird.models.seq2seq_config import Seq2SeqModelConfig, transformer_config
from fairseq_littlebird.models.seq2seq_decoder import DecoderPositions, Seq2SeqDecoder
from fairseq_littlebird.models.seq2seq_encoder import Seq2SeqEncoder
from fairseq_littlebird.models.seq2seq_model import Seq2SeqModel
from fairseq_littlebird.modules.bigbird_encoder import BigBirdEncoder
from fairseq_littlebird.modules.config import ACTIVATIONS, BigBirdConfig


@dataclass
class BigBirdSeq2SeqModelConfig(BigBirdOptions, Seq2SeqModelConfig):
    """The options of BigBird's encoder under a decoder; defaults are those of the released checkpoints."""

    max_positions: int = field(default=4096, metadata={"help": "number of learned positions of the encoder"})
    activation: ChoiceEnum(ACTIVATIONS) = field(  # type: ignore[valid-type]
        default="gelu_tanh", metadata={"help": "activation of the feed-forward layers"}
    )

    def encoder_config(self, vocab_size: int, padding_idx: int) -> BigBirdConfig:
        """The encoder's sizes. Raises ValueError where they do not fit together."""
        return BigBirdConfig(
            vocab_size,
            padding_idx,
            block_size=self.block_size,
            random_blocks=self.random_blocks,
            random_attention=str(self.random_attention),
            seed=self.random_seed,
            global_blocks=str(self.global_blocks),
            **self.sizes(),
        )


@dataclass
class BigBirdRobertaModelConfig(BigBirdSeq2SeqModelConfig):
    layer_norm_eps: float = field(default=1e-12, metadata={"help": "epsilon of layer normalisation"})


class BigBirdSeq2SeqEncoder(Seq2SeqEncoder, BigBirdEncoder):  # type: ignore[misc]  # the forwards
    """BigBird-ITC's."""


@register_model("bigbird_roberta", dataclass=BigBirdRobertaModelConfig)
class BigBirdRobertaModel(Seq2SeqModel):
    """A BigBird-ITC encoder whose modules are the decoder's, too: cross-attention alone is the decoder's own.

    In the decoder they attend to all that was written, as an output is short.
    """

    title = "BigBird-RoBERTa"
    config_class = BigBirdRobertaModelConfig

    @classmethod
    def build_encoder(cls, cfg: BigBirdRobertaModelConfig, dictionary: Dictionary) -> BigBirdSeq2SeqEncoder:
        return BigBirdSeq2SeqEncoder(cfg.encoder_config(len(dictionary), dictionary.pad()), dictionary)

    @classmethod
    def build_decoder(cls, cfg: BigBirdRobertaModelConfig, dictionary: Dictionary, encoder: Any) -> Seq2SeqDecoder:
        own = cfg.encoder_layers, cfg.encoder_ffn_embed_dim, cfg.encoder_attention_heads
        if cfg.sizes_of_decoder != own:
            raise ValueError("encoder and decoder share their layers, so the decoder's sizes must be the encoder's")
        if cfg.decoder_max_positions > cfg.max_positions:
            raise ValueError(
                f"--decoder-max-positions {cfg.decoder_max_positions} of a table of {cfg.max_positions} positions "
                "that both share"
            )
        table = encoder.embeddings.positions.weight
        decoder = Seq2SeqDecoder(
            transformer_config(cfg, layernorm_embedding=True),
            dictionary,
            encoder.embeddings.tokens,
            DecoderPositions(cfg.decoder_max_positions, cfg.encoder_embed_dim, table),
            layer_norm_eps=cfg.layer_norm_eps,
            checkpoint_activations=cfg.checkpoint_activations,
        )
        share_layers(encoder, decoder)
        return decoder


def share_layers(encoder: Any, decoder: Seq2SeqDecoder) -> None:
    """Makes the encoder's modules the decoder's: projections, feed-forward networks and their norms."""
    decoder.layernorm_embedding = encoder.embeddings.norm
    for number, theirs in enumerate(encoder.layers):
        layer: Any = decoder.layers[number]  # to iterate with --decoder-layerdrop skips some at random
        for name in ("q", "k", "v", "out"):
            setattr(layer.self_attn, f"{name}_proj", getattr(theirs.attention, name))
        layer.self_attn_layer_norm, layer.final_layer_norm = theirs.attention_norm, theirs.ffn_norm
        layer.fc1, layer.fc2 = theirs.ffn.fc1, theirs.ffn.fc2


architecture("bigbird_roberta", "bigbird_roberta_base")
architecture("bigbird_roberta", "bigbird_roberta_tiny", **TINY | {"encoder_layers": 2}, block_size=32)

"""BigBird-Pegasus (Zaheer et al., 2020, appendix E.5) as a fairseq model."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from typing import Any

from fairseq.data import Dictionary
from fairseq.models import register_model

from fairseq_littlebird.models.architectures import TINY, architecture
from fairseq_littlebird.models.bigbird_roberta import BigBirdSeq2SeqModelConfig
from fairseq_littlebird.models.seq2seq_config import transformer_config
from fairseq_littlebird.models.seq2seq_decoder import DecoderPositions, Seq2SeqDecoder
from fairseq_littlebird.models.seq2seq_encoder import Seq2SeqEncoder
from fairseq_littlebird.models.seq2seq_model import Seq2SeqModel
from fairseq_littlebird.modules.bigbird_pegasus_encoder import BigBirdPegasusEncoder


@dataclass
class BigBirdPegasusModelConfig(BigBirdSeq2SeqModelConfig):
    layer_norm_eps: float = field(default=1e-5, metadata={"help": "epsilon of layer normalisation"})


class BigBirdPegasusSeq2SeqEncoder(Seq2SeqEncoder, BigBirdPegasusEncoder):  # type: ignore[misc]  # the forwards
    """BigBird-Pegasus'."""


@register_model("bigbird_pegasus", dataclass=BigBirdPegasusModelConfig)
class BigBirdPegasusModel(Seq2SeqModel):
    """Pegasus whose encoder attends as BigBird-ITC does; the two sides share the token embeddings alone."""

    title = "BigBird-Pegasus"
    config_class = BigBirdPegasusModelConfig

    @classmethod
    def build_encoder(cls, cfg: BigBirdPegasusModelConfig, dictionary: Dictionary) -> BigBirdPegasusSeq2SeqEncoder:
        return BigBirdPegasusSeq2SeqEncoder(cfg.encoder_config(len(dictionary), dictionary.pad()), dictionary)

    @classmethod
    def build_decoder(cls, cfg: BigBirdPegasusModelConfig, dictionary: Dictionary, encoder: Any) -> Seq2SeqDecoder:
        return Seq2SeqDecoder(
            transformer_config(cfg, decoder_normalize_before=True, no_scale_embedding=False),
            dictionary,
            encoder.embeddings.tokens,
            DecoderPositions(cfg.decoder_max_positions, cfg.encoder_embed_dim),
            attention_bias=False,
            layer_norm_eps=cfg.layer_norm_eps,
            checkpoint_activations=cfg.checkpoint_activations,
        )


architecture(
    "bigbird_pegasus",
    "bigbird_pegasus_large",
    encoder_layers=16,
    encoder_embed_dim=1024,
    encoder_ffn_embed_dim=4096,
    encoder_attention_heads=16,
)
architecture("bigbird_pegasus", "bigbird_pegasus_tiny", **TINY | {"encoder_layers": 2}, block_size=32)

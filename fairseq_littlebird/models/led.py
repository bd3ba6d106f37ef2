"""LED, the Longformer encoder–decoder (Beltagy et al., 2020, section 7), as a fairseq model."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field

from fairseq.data import Dictionary
from fairseq.models import register_model

from fairseq_littlebird.models.architectures import TINY, architecture
from fairseq_littlebird.models.seq2seq_config import Seq2SeqModelConfig
from fairseq_littlebird.models.seq2seq_encoder import Seq2SeqEncoder
from fairseq_littlebird.models.seq2seq_model import Seq2SeqModel
from fairseq_littlebird.modules.config import LongformerConfig
from fairseq_littlebird.modules.config.windows import dilations_of_layers, windows_of_layers
from fairseq_littlebird.modules.longformer_encoder import LongformerEncoder


@dataclass
class LEDModelConfig(Seq2SeqModelConfig):
    """The base size: BART's, with sixteen times its positions."""

    encoder_layers: int = field(default=6, metadata={"help": "number of encoder layers"})
    max_positions: int = field(default=16384, metadata={"help": "number of learned positions of the encoder"})
    attention_window: str = field(
        default="1024",
        metadata={
            "help": "window size in tokens, an even number; a comma-separated list with one per layer; or FIRST-LAST, "
            "which doubles it from the first layer to the last"
        },
    )
    attention_dilation: str = field(
        default="1",
        metadata={
            "help": "distance between these tokens; a comma-separated list with one per head; or such lists with one "
            "per layer and / between them"
        },
    )


class LEDEncoder(Seq2SeqEncoder, LongformerEncoder):  # type: ignore[misc]  # the forwards
    """Longformer's; the first token is global."""


@register_model("led", dataclass=LEDModelConfig)
class LEDModel(Seq2SeqModel):
    """BART whose encoder attends as Longformer does."""

    title = "LED"
    config_class = LEDModelConfig

    @classmethod
    def build_encoder(cls, cfg: LEDModelConfig, dictionary: Dictionary) -> LEDEncoder:
        return LEDEncoder(
            LongformerConfig(
                len(dictionary),
                dictionary.pad(),
                attention_window=windows_of_layers(cfg.attention_window, cfg.encoder_layers),
                dilations=dilations_of_layers(cfg.attention_dilation, cfg.encoder_layers, cfg.encoder_attention_heads),
                **cfg.sizes(),
            ),
            dictionary,
        )


architecture("led", "led_base")
architecture(
    "led",
    "led_large",
    encoder_layers=12,
    encoder_embed_dim=1024,
    encoder_ffn_embed_dim=4096,
    encoder_attention_heads=16,
)
architecture("led", "led_tiny", **TINY | {"encoder_layers": 2}, attention_window="32")

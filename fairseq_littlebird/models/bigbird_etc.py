"""BigBird-ETC as a fairseq model."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field

from fairseq.models import register_model

from fairseq_littlebird.models.architectures import LARGE, TINY, EncoderModelConfig, architecture
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.modules.config import ETCConfig
from fairseq_littlebird.modules.etc_encoder import ETCEncoder


@dataclass
class BigBirdETCModelConfig(EncoderModelConfig):
    global_tokens: int = field(
        default=256,
        metadata={"help": "number of global tokens: one per sentence or paragraph if the data set has them"},
    )
    local_radius: int = field(
        default=84, metadata={"help": "tokens attend to those within this distance; block length b of table 8"}
    )
    max_distance: int = field(
        default=12, metadata={"help": "maximum relative distance; larger distances share one label"}
    )


@register_model("bigbird_etc", dataclass=BigBirdETCModelConfig)
class BigBirdETCModel(EncoderModel):
    """An ETC encoder under the heads; its positions are relative, by tokens, so gaps mean nothing to it.

    The sentences or paragraphs of a batch, where the task has them, have a global token each.
    """

    title = "BigBird-ETC"
    config_class = BigBirdETCModelConfig

    @classmethod
    def build_encoder(cls, cfg: BigBirdETCModelConfig, vocab_size: int, padding_idx: int) -> ETCEncoder:
        return ETCEncoder(
            ETCConfig(
                vocab_size,
                padding_idx,
                global_tokens=cfg.global_tokens,
                local_radius=cfg.local_radius,
                max_distance=cfg.max_distance,
                **cfg.sizes(),
            )
        )


architecture("bigbird_etc", "bigbird_etc_base")
architecture("bigbird_etc", "bigbird_etc_large", **LARGE, local_radius=169)
architecture("bigbird_etc", "bigbird_etc_tiny", **TINY, global_tokens=8, local_radius=16)

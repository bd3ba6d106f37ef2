"""fairseq models; importing this package registers them."""

from fairseq_littlebird.models.bigbird_itc import BigBirdModel, BigBirdModelConfig
from fairseq_littlebird.models.full_attention import FullAttentionModel, FullAttentionModelConfig
from fairseq_littlebird.models.littlebird import LittleBirdModel, LittleBirdModelConfig

__all__ = [
    "BigBirdModel",
    "BigBirdModelConfig",
    "FullAttentionModel",
    "FullAttentionModelConfig",
    "LittleBirdModel",
    "LittleBirdModelConfig",
]

"""fairseq models; importing this package registers them."""

from fairseq_littlebird.models.bigbird_etc import BigBirdETCModel, BigBirdETCModelConfig
from fairseq_littlebird.models.full_attention import FullAttentionModel, FullAttentionModelConfig
from fairseq_littlebird.models.littlebird import LittleBirdModel, LittleBirdModelConfig

__all__ = [
    "BigBirdETCModel",
    "BigBirdETCModelConfig",
    "FullAttentionModel",
    "FullAttentionModelConfig",
    "LittleBirdModel",
    "LittleBirdModelConfig",
]

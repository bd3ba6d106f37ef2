"""What fixes an encoder's shape: a dataclass a family, with what all of them have in common."""

from fairseq_littlebird.modules.config.bigbird import BigBirdConfig
from fairseq_littlebird.modules.config.causal_littlebird import CausalLittleBirdConfig
from fairseq_littlebird.modules.config.causal_window import CAUSAL_POSITIONS, CausalWindowConfig
from fairseq_littlebird.modules.config.encoder import ACTIVATIONS, EncoderConfig
from fairseq_littlebird.modules.config.etc import ETCConfig
from fairseq_littlebird.modules.config.formed_encoder import FormedEncoderConfig
from fairseq_littlebird.modules.config.full_attention import FULL_POSITIONS, FullAttentionConfig
from fairseq_littlebird.modules.config.layer_form import LayerForm
from fairseq_littlebird.modules.config.littlebird import POSITIONS, LittleBirdConfig
from fairseq_littlebird.modules.config.longformer import LongformerConfig

__all__ = [
    "ACTIVATIONS",
    "BigBirdConfig",
    "CAUSAL_POSITIONS",
    "CausalLittleBirdConfig",
    "CausalWindowConfig",
    "ETCConfig",
    "EncoderConfig",
    "FULL_POSITIONS",
    "FormedEncoderConfig",
    "FullAttentionConfig",
    "LayerForm",
    "LittleBirdConfig",
    "LongformerConfig",
    "POSITIONS",
]

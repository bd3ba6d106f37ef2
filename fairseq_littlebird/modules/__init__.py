"""Encoders and decoders in plain PyTorch: attention, layers, the stack, embeddings."""

from fairseq_littlebird.modules.bigbird_encoder import BigBirdEncoder
from fairseq_littlebird.modules.bigbird_pegasus_encoder import BigBirdPegasusEncoder
from fairseq_littlebird.modules.causal_decoder import CausalDecoder, DecodingState
from fairseq_littlebird.modules.causal_littlebird_decoder import CausalLittleBirdDecoder
from fairseq_littlebird.modules.causal_window_decoder import CausalWindowDecoder
from fairseq_littlebird.modules.config import (
    BigBirdConfig,
    CausalLittleBirdConfig,
    CausalWindowConfig,
    EncoderConfig,
    ETCConfig,
    FullAttentionConfig,
    LittleBirdConfig,
    LongformerConfig,
)
from fairseq_littlebird.modules.encoder import Encoder
from fairseq_littlebird.modules.encoder_layer import EncoderLayer
from fairseq_littlebird.modules.etc_encoder import ETCEncoder
from fairseq_littlebird.modules.feed_forward import FeedForward
from fairseq_littlebird.modules.full_attention_encoder import FullAttentionEncoder
from fairseq_littlebird.modules.layer_stack import LayerStack
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder
from fairseq_littlebird.modules.littlebird_layer import LittleBirdLayer
from fairseq_littlebird.modules.longformer_encoder import LongformerEncoder
from fairseq_littlebird.modules.token_annotations import GlobalStructure, TokenAnnotations

__all__ = [
    "BigBirdConfig",
    "BigBirdEncoder",
    "BigBirdPegasusEncoder",
    "CausalDecoder",
    "CausalLittleBirdConfig",
    "CausalLittleBirdDecoder",
    "CausalWindowConfig",
    "CausalWindowDecoder",
    "DecodingState",
    "ETCConfig",
    "ETCEncoder",
    "Encoder",
    "EncoderConfig",
    "EncoderLayer",
    "FeedForward",
    "FullAttentionConfig",
    "FullAttentionEncoder",
    "GlobalStructure",
    "LayerStack",
    "LittleBirdConfig",
    "LittleBirdEncoder",
    "LittleBirdLayer",
    "LongformerConfig",
    "LongformerEncoder",
    "TokenAnnotations",
]

"""fairseq models; importing this package registers them."""

from fairseq_littlebird.registration import register

register()  # whichever package is imported first, all are registered

from fairseq_littlebird.models.bigbird_etc import BigBirdETCModel, BigBirdETCModelConfig
from fairseq_littlebird.models.bigbird_itc import BigBirdModel, BigBirdModelConfig
from fairseq_littlebird.models.bigbird_pegasus import BigBirdPegasusModel, BigBirdPegasusModelConfig
from fairseq_littlebird.models.bigbird_roberta import BigBirdRobertaModel, BigBirdRobertaModelConfig
from fairseq_littlebird.models.full_attention import FullAttentionModel, FullAttentionModelConfig
from fairseq_littlebird.models.language_model import LanguageModel, LanguageModelConfig
from fairseq_littlebird.models.led import LEDModel, LEDModelConfig
from fairseq_littlebird.models.littlebird import LittleBirdModel, LittleBirdModelConfig
from fairseq_littlebird.models.littlebird_lm import LittleBirdLM, LittleBirdLMConfig
from fairseq_littlebird.models.littlebird_seq2seq import LittleBirdSeq2SeqModel, LittleBirdSeq2SeqModelConfig
from fairseq_littlebird.models.longformer import LongformerModel, LongformerModelConfig
from fairseq_littlebird.models.longformer_lm import LongformerLM, LongformerLMConfig

__all__ = [
    "BigBirdETCModel",
    "BigBirdETCModelConfig",
    "BigBirdModel",
    "BigBirdModelConfig",
    "BigBirdPegasusModel",
    "BigBirdPegasusModelConfig",
    "BigBirdRobertaModel",
    "BigBirdRobertaModelConfig",
    "FullAttentionModel",
    "FullAttentionModelConfig",
    "LEDModel",
    "LEDModelConfig",
    "LanguageModel",
    "LanguageModelConfig",
    "LittleBirdLM",
    "LittleBirdLMConfig",
    "LittleBirdModel",
    "LittleBirdModelConfig",
    "LittleBirdSeq2SeqModel",
    "LittleBirdSeq2SeqModelConfig",
    "LongformerLM",
    "LongformerLMConfig",
    "LongformerModel",
    "LongformerModelConfig",
]

"""Longformer's language model (Beltagy et al., 2020, section 4) as a fairseq model."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field

from fairseq.dataclass import ChoiceEnum
from fairseq.models import register_model

from fairseq_littlebird.models.architectures import TINY, architecture
from fairseq_littlebird.models.language_model import LanguageModel, LanguageModelConfig
from fairseq_littlebird.modules.causal_window_decoder import CausalWindowDecoder
from fairseq_littlebird.modules.config import CAUSAL_POSITIONS, CausalWindowConfig
from fairseq_littlebird.modules.config.windows import dilations_of_layers, windows_of_layers


@dataclass
class LongformerLMConfig(LanguageModelConfig):
    """The paper's small size, with the windows of its first phase of training."""

    attention_window: str = field(
        default="32-512",
        metadata={
            "help": "number of tokens before a token that it attends to, even; a comma-separated list with one per "
            "layer; or FIRST-LAST, which doubles it from the first layer to the last"
        },
    )
    attention_dilation: str = field(
        default="1",
        metadata={
            "help": "distance between these tokens; a comma-separated list with one per head; or such lists with one "
            "per layer and / between them"
        },
    )
    positions: ChoiceEnum(CAUSAL_POSITIONS) = field(  # type: ignore[valid-type]
        default="alibi",
        metadata={
            "help": "position representation: alibi, biases that grow with the distance, for any length; "
            "relative_sinusoidal, the paper's, for any length; learned, absolute positions up to --max-positions"
        },
    )


@register_model("longformer_lm", dataclass=LongformerLMConfig)
class LongformerLM(LanguageModel):
    """A decoder-only Longformer."""

    title = "Longformer language model"
    config_class = LongformerLMConfig

    @classmethod
    def build_transformer(cls, cfg: LongformerLMConfig, vocab_size: int, padding_idx: int) -> CausalWindowDecoder:
        layers, heads = cfg.decoder_layers, cfg.decoder_attention_heads
        return CausalWindowDecoder(
            CausalWindowConfig(
                vocab_size,
                padding_idx,
                attention_window=windows_of_layers(cfg.attention_window, layers),
                dilations=dilations_of_layers(cfg.attention_dilation, layers, heads),
                positions=str(cfg.positions),
                **cfg.sizes(),
            )
        )


architecture("longformer_lm", "longformer_lm_small")
architecture("longformer_lm", "longformer_lm_large", decoder_layers=30, dropout=0.4)
architecture(
    "longformer_lm",
    "longformer_lm_tiny",
    **{option.replace("encoder_", "decoder_"): size for option, size in TINY.items()},
    attention_window="32",
    dropout=0.1,
)

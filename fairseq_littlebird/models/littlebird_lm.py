"""LittleBird's language model, which its paper does without, as a fairseq model."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field

from fairseq.models import register_model

from fairseq_littlebird.models.architectures import TINY, architecture
from fairseq_littlebird.models.language_model import LanguageModel, LanguageModelConfig
from fairseq_littlebird.models.littlebird import LittleBirdModel
from fairseq_littlebird.modules.causal_littlebird_decoder import CausalLittleBirdDecoder
from fairseq_littlebird.modules.config import CausalLittleBirdConfig


@dataclass
class LittleBirdLMConfig(LanguageModelConfig):
    """The sizes are those of Longformer's small language model."""

    block_size: int = field(
        default=64,
        metadata={"help": "block size b in tokens: a token attends to its own block, the one before and the first"},
    )
    pack_size: int = field(
        default=0, metadata={"help": "must be 0: causal masking cannot be applied to pack attention"}
    )


@register_model("littlebird_lm", dataclass=LittleBirdLMConfig)
class LittleBirdLM(LanguageModel):
    """A decoder-only LittleBird."""

    title = "LittleBird language model"
    config_class = LittleBirdLMConfig

    @classmethod
    def build_transformer(cls, cfg: LittleBirdLMConfig, vocab_size: int, padding_idx: int) -> CausalLittleBirdDecoder:
        transformer = CausalLittleBirdDecoder(
            CausalLittleBirdConfig(
                vocab_size,
                padding_idx,
                block_size=cfg.block_size,
                pack_size=cfg.pack_size,
                **cfg.sizes(),
            )
        )
        LittleBirdModel.mark_slopes(transformer)
        return transformer


architecture("littlebird_lm", "littlebird_lm_small")
architecture("littlebird_lm", "littlebird_lm_large", decoder_layers=30, dropout=0.4)
architecture(
    "littlebird_lm",
    "littlebird_lm_tiny",
    **{option.replace("encoder_", "decoder_"): size for option, size in TINY.items()},
    block_size=32,
    dropout=0.1,
)

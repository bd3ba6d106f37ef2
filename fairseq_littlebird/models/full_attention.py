"""BERT, RoBERTa and ModernBERT: the teacher of a distillation, and the quadratic row of every comparison."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field

from fairseq.dataclass import ChoiceEnum
from fairseq.models import register_model

from fairseq_littlebird.models.architectures import LARGE, TINY, EncoderModelConfig, architecture
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.models.form_options import MODERNBERT, MODERNBERT_SIZES, FormOptions
from fairseq_littlebird.modules.config import FULL_POSITIONS, FullAttentionConfig
from fairseq_littlebird.modules.config.windows import repeated_windows
from fairseq_littlebird.modules.full_attention_encoder import FullAttentionEncoder


@dataclass
class FullAttentionModelConfig(FormOptions, EncoderModelConfig):
    """The options of full attention."""

    positions: ChoiceEnum(FULL_POSITIONS) = field(  # type: ignore[valid-type]
        default="learned", metadata={"help": "learned position embeddings, or rotary positions as in ModernBERT"}
    )
    rope_theta: float = field(
        default=160_000.0, metadata={"help": "base of rotary positions in layers that attend to all tokens"}
    )
    local_rope_theta: float = field(
        default=10_000.0, metadata={"help": "base of rotary positions in layers with a window"}
    )
    attention_window: str = field(
        default="0",
        metadata={
            "help": "window of each layer in tokens, half of it on each side; 0 attends to all tokens. A list is "
            "repeated: 0,128,128 is ModernBERT's"
        },
    )


@register_model("full_attention", dataclass=FullAttentionModelConfig)
class FullAttentionModel(EncoderModel):
    """A full-attention encoder under the heads; no gaps in its positions were trained, so they mean nothing to it."""

    title = "full attention"
    config_class = FullAttentionModelConfig

    @classmethod
    def build_encoder(cls, cfg: FullAttentionModelConfig, vocab_size: int, padding_idx: int) -> FullAttentionEncoder:
        windows = repeated_windows(cfg.attention_window, cfg.encoder_layers)
        config = FullAttentionConfig(
            vocab_size,
            padding_idx,
            **cfg.sizes(),
            **cfg.form(),
            positions=str(cfg.positions),
            rope_theta=cfg.rope_theta,
            local_rope_theta=cfg.local_rope_theta,
            attention_window=windows if any(windows) else (),
        )
        return FullAttentionEncoder(config)


# BERT's norms add less; its vocabulary and RoBERTa's come from the dictionary
for family, eps in (("roberta", 1e-5), ("bert", 1e-12)):
    architecture("full_attention", f"{family}_full_base", layer_norm_eps=eps)
    architecture("full_attention", f"{family}_full_large", **LARGE, layer_norm_eps=eps)
    architecture("full_attention", f"{family}_full_tiny", **TINY, layer_norm_eps=eps)
for size, sizes in MODERNBERT_SIZES.items():
    positions = {"positions": "rotary", "attention_window": "0,128,128", "max_positions": 8192}
    architecture("full_attention", f"modernbert_full_{size}", **sizes, **MODERNBERT, **positions)

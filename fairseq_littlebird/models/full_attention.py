"""BERT and RoBERTa as a fairseq model: the teacher of a distillation, and the quadratic row of every comparison."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass

from fairseq.models import register_model

from fairseq_littlebird.models.architectures import LARGE, TINY, EncoderModelConfig, architecture
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.modules.config import FullAttentionConfig
from fairseq_littlebird.modules.full_attention_encoder import FullAttentionEncoder


@dataclass
class FullAttentionModelConfig(EncoderModelConfig):
    pass


@register_model("full_attention", dataclass=FullAttentionModelConfig)
class FullAttentionModel(EncoderModel):
    """A full-attention encoder under the heads; its positions are absolute, so gaps in them mean nothing to it."""

    title = "full attention"
    config_class = FullAttentionModelConfig

    @classmethod
    def build_encoder(cls, cfg: FullAttentionModelConfig, vocab_size: int, padding_idx: int) -> FullAttentionEncoder:
        return FullAttentionEncoder(FullAttentionConfig(vocab_size, padding_idx, **cfg.sizes()))


# BERT's norms add less; its vocabulary and RoBERTa's come from the dictionary
for family, eps in (("roberta", 1e-5), ("bert", 1e-12)):
    architecture("full_attention", f"{family}_full_base", layer_norm_eps=eps)
    architecture("full_attention", f"{family}_full_large", **LARGE, layer_norm_eps=eps)
    architecture("full_attention", f"{family}_full_tiny", **TINY, layer_norm_eps=eps)

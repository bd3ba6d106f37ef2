"""Longformer as a fairseq model; the task decides which of its tokens are global."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field

import torch
from fairseq.models import register_model
from torch import Tensor

from fairseq_littlebird.models.architectures import LARGE, TINY, EncoderModelConfig, architecture
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.modules.config import LongformerConfig
from fairseq_littlebird.modules.config.windows import dilations_of_layers, windows_of_layers
from fairseq_littlebird.modules.longformer_encoder import LongformerEncoder
from fairseq_littlebird.modules.token_annotations import TokenAnnotations


@dataclass
class LongformerModelConfig(EncoderModelConfig):
    max_positions: int = field(default=4096, metadata={"help": "number of learned positions"})
    attention_window: str = field(
        default="512",
        metadata={
            "help": "window size in tokens, an even number; a comma-separated list with one per layer; or FIRST-LAST, "
            "which doubles it from the first layer to the last"
        },
    )
    attention_dilation: str = field(
        default="1",
        metadata={
            "help": "distance between these tokens; a comma-separated list with one per head; or such lists with one "
            "per layer and / between them"
        },
    )
    structured_input: bool = field(
        default=False,
        metadata={
            "help": "question answering: the first token of each paragraph and sentence (HotpotQA) and all tokens of "
            "candidates (WikiHop) are global as well"
        },
    )


@register_model("longformer", dataclass=LongformerModelConfig)
class LongformerModel(EncoderModel):
    """A Longformer encoder under the heads."""

    title = "Longformer"
    global_tokens_in_text = True
    config_class = LongformerModelConfig

    @classmethod
    def build_encoder(cls, cfg: LongformerModelConfig, vocab_size: int, padding_idx: int) -> LongformerEncoder:
        return LongformerEncoder(
            LongformerConfig(
                vocab_size,
                padding_idx,
                attention_window=windows_of_layers(cfg.attention_window, cfg.encoder_layers),
                dilations=dilations_of_layers(cfg.attention_dilation, cfg.encoder_layers, cfg.encoder_attention_heads),
                **cfg.sizes(),
            )
        )

    def annotated(self, tokens: Tensor, annotations: TokenAnnotations) -> TokenAnnotations:
        found, given = global_tokens(tokens, annotations), annotations.global_tokens
        if given is None:
            return annotations._replace(global_tokens=found, most_global=most_global(annotations))
        return annotations if found is None else annotations._replace(global_tokens=found | given)


def global_tokens(tokens: Tensor, annotations: TokenAnnotations) -> Tensor | None:
    """The tokens that a task's answer is about (section 3.1).

    Token 0 where it stands for the sequence; otherwise all of the question before a context, but for the </s> that ends
    it; [QUESTION] tokens without a context.

    Args:
        tokens: <int64>[B, L].
        annotations: what the task says of them.
    Returns:
        <bool>[B, L], or None for none.
    """
    index = torch.arange(tokens.shape[1], device=tokens.device)
    if annotations.is_classification:
        return (index == 0).expand_as(tokens)
    if annotations.context_starts is not None:
        return index < annotations.context_starts[:, None] - 1
    if annotations.questions is not None:
        asked = torch.zeros_like(tokens, dtype=torch.bool).scatter(1, annotations.questions, True)
        return asked & (index > 0)  # token 0 is how a batch says that there is no question
    return None


def most_global(annotations: TokenAnnotations) -> int | None:
    """As many as :func:`global_tokens` finds in a sequence at most; None where only the batch's device knows."""
    if annotations.is_classification:
        return 1
    if annotations.context_starts is not None:
        last = annotations.last_context_start
        return None if last is None else max(0, last - 1)
    return None if annotations.questions is None else annotations.questions.shape[1]


architecture("longformer", "longformer_base")
architecture("longformer", "longformer_large", **LARGE)
architecture("longformer", "longformer_tiny", **TINY, attention_window="32")

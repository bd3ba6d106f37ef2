"""The heads over an encoder: what a task asks for is added, what it has no use for is removed."""

from __future__ import annotations

from typing import Any

from torch import nn

from fairseq_littlebird.conversion.parameters import LM_HEAD, SPAN_HEAD
from fairseq_littlebird.heads.answer_type import AnswerTypeHead
from fairseq_littlebird.heads.classification import ClassificationHead
from fairseq_littlebird.heads.evidence import GlobalSegmentHead, SegmentHead
from fairseq_littlebird.heads.language_model import LanguageModelHead
from fairseq_littlebird.heads.next_sentence import NextSentenceHead
from fairseq_littlebird.heads.span_selection import SPAN_HEADS
from fairseq_littlebird.models.architectures import EncoderModelConfig
from fairseq_littlebird.modules.encoder import Encoder

HEADS = {
    LM_HEAD: "LM head",
    "classification_heads.": "classification head",
    SPAN_HEAD: "span head",
    "segment_head.": "head for sentences or paragraphs",
    "answer_type_head.": "head for answer types",
    "next_sentence_head.": "head for next-sentence prediction",
}
"""How the parameters of each begin, and what messages call it."""


class TaskHeads(nn.Module):
    """The part of a model that holds its heads; starts with the LM head alone."""

    cfg: EncoderModelConfig
    encoder: Encoder[Any, Any, Any]
    lm_head: LanguageModelHead | None
    classification_heads: nn.ModuleDict
    span_head: nn.Module | None
    segment_head: SegmentHead | GlobalSegmentHead | None
    answer_type_head: AnswerTypeHead | None
    next_sentence_head: NextSentenceHead | None

    def build_heads(self, cfg: EncoderModelConfig, vocab_size: int) -> None:
        """
        Args:
            cfg: sizes.
            vocab_size: of the LM head.
        """
        sizes = cfg.encoder_embed_dim, vocab_size, cfg.word_embed_dim, cfg.layer_norm_eps, str(cfg.activation)
        self.lm_head = initialise(LanguageModelHead(*sizes, bias=not getattr(cfg, "bias_free", False)))
        self.classification_heads = nn.ModuleDict()
        self.span_head = None
        self.segment_head = None
        self.answer_type_head = None
        self.next_sentence_head = None

    def register_classification_head(
        self, name: str, num_classes: int = 2, inner_dim: int | None = None, **unused: Any
    ) -> None:
        """fairseq's hook for ``sentence_prediction``; removes the LM head, which is unused then."""
        C = self.cfg.encoder_embed_dim
        head = ClassificationHead(C, inner_dim or C, num_classes, self.cfg.pooler_dropout)
        self.classification_heads[name] = initialise(head)
        self.lm_head = None

    def register_span_head(self, kind: str) -> None:
        """Adds the span head, one of ``SPAN_HEADS``, and removes the LM head, which is unused then."""
        self.span_head = SPAN_HEADS[kind](self.cfg.encoder_embed_dim)
        self.lm_head = None

    def register_segment_head(self, of_global_tokens: bool = False) -> None:
        """Adds the head that scores sentences or paragraphs; of structured input also candidates, by their global
        tokens."""
        kind = GlobalSegmentHead if of_global_tokens else SegmentHead
        self.segment_head = initialise(kind(self.cfg.encoder_embed_dim))

    def register_answer_type_head(self, kinds: int) -> None:
        """Adds the head that chooses one of so many answer types."""
        self.answer_type_head = initialise(AnswerTypeHead(self.cfg.encoder_embed_dim, kinds))

    def register_next_sentence_head(self) -> None:
        """Adds the head that says whether a sequence follows another, beside the LM head."""
        self.next_sentence_head = initialise(NextSentenceHead(self.cfg.encoder_embed_dim))


def initialise(module: nn.Module) -> Any:
    """BERT's initialisation for a head: linear weights normal with deviation 0.02, biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module

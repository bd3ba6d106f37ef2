"""Losses as functions on tensors; needs torch alone."""

from fairseq_littlebird.objectives.attention_alignment import attention_kl, chunked_attention_kl
from fairseq_littlebird.objectives.contrastive import ContrastiveLoss, MaskedSentences, contrastive_loss, mask_sentences
from fairseq_littlebird.objectives.distillation import soft_target_kl
from fairseq_littlebird.objectives.noisy_spans import noisy_span_loss
from fairseq_littlebird.objectives.segments import candidate_loss, choice_loss, evidence_loss
from fairseq_littlebird.objectives.span_selection import SpanLoss, span_loss

__all__ = [
    "ContrastiveLoss",
    "MaskedSentences",
    "SpanLoss",
    "attention_kl",
    "candidate_loss",
    "choice_loss",
    "chunked_attention_kl",
    "contrastive_loss",
    "evidence_loss",
    "mask_sentences",
    "noisy_span_loss",
    "soft_target_kl",
    "span_loss",
]

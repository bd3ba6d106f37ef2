"""What stands on the encoder's hidden states; needs torch alone."""

from fairseq_littlebird.heads.answer_type import AnswerTypeHead
from fairseq_littlebird.heads.classification import ClassificationHead
from fairseq_littlebird.heads.evidence import GlobalSegmentHead, SegmentHead
from fairseq_littlebird.heads.language_model import LanguageModelHead
from fairseq_littlebird.heads.next_sentence import NextSentenceHead
from fairseq_littlebird.heads.span_selection import SPAN_HEADS

__all__ = [
    "SPAN_HEADS",
    "AnswerTypeHead",
    "ClassificationHead",
    "GlobalSegmentHead",
    "LanguageModelHead",
    "NextSentenceHead",
    "SegmentHead",
]

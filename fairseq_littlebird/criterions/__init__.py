"""fairseq criterions; importing this package registers them."""

from fairseq_littlebird.registration import register

register()  # whichever package is imported first, all are registered

from fairseq_littlebird.criterions.littlebird_classification import LittleBirdClassificationCriterion
from fairseq_littlebird.criterions.littlebird_distillation import LittleBirdDistillationCriterion
from fairseq_littlebird.criterions.masked_lm_cpc import MaskedLMCPCCriterion
from fairseq_littlebird.criterions.masked_lm_nsp import MaskedLMNSPCriterion
from fairseq_littlebird.criterions.question_answering import QuestionAnsweringCriterion
from fairseq_littlebird.criterions.recurring_span_selection import RecurringSpanSelectionCriterion

__all__ = [
    "LittleBirdClassificationCriterion",
    "LittleBirdDistillationCriterion",
    "MaskedLMCPCCriterion",
    "MaskedLMNSPCriterion",
    "QuestionAnsweringCriterion",
    "RecurringSpanSelectionCriterion",
]

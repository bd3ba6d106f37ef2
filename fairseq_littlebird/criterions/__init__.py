"""fairseq criterions; importing this package registers them."""

import fairseq_littlebird.registration  # noqa: F401
from fairseq_littlebird.criterions.littlebird_classification import LittleBirdClassificationCriterion
from fairseq_littlebird.criterions.littlebird_distillation import LittleBirdDistillationCriterion
from fairseq_littlebird.criterions.question_answering import QuestionAnsweringCriterion
from fairseq_littlebird.criterions.recurring_span_selection import RecurringSpanSelectionCriterion

__all__ = [
    "LittleBirdClassificationCriterion",
    "LittleBirdDistillationCriterion",
    "QuestionAnsweringCriterion",
    "RecurringSpanSelectionCriterion",
]

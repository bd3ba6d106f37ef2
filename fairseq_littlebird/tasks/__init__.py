"""fairseq tasks; importing this package registers them."""

from fairseq_littlebird.registration import register

register()  # whichever package is imported first, all are registered

from fairseq_littlebird.tasks.dna_pretraining import DnaPretrainingTask
from fairseq_littlebird.tasks.littlebird_language_modeling import LittleBirdLanguageModelingTask
from fairseq_littlebird.tasks.littlebird_masked_lm import LittleBirdMaskedLMTask
from fairseq_littlebird.tasks.littlebird_sentence_prediction import LittleBirdSentencePredictionTask
from fairseq_littlebird.tasks.question_answering import QuestionAnsweringTask
from fairseq_littlebird.tasks.recurring_span_selection import RecurringSpanSelectionTask
from fairseq_littlebird.tasks.summarization import SummarizationTask

__all__ = [
    "DnaPretrainingTask",
    "LittleBirdLanguageModelingTask",
    "LittleBirdMaskedLMTask",
    "LittleBirdSentencePredictionTask",
    "QuestionAnsweringTask",
    "RecurringSpanSelectionTask",
    "SummarizationTask",
]

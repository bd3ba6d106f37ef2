"""Recurring span selection, the pretraining task of section 4.1."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from typing import Any

from fairseq.data import Dictionary
from fairseq.tasks import register_task
from fairseq.tasks.language_modeling import SAMPLE_BREAK_MODE_CHOICES, SHORTEN_METHOD_CHOICES
from fairseq.tasks.masked_lm import MaskedLMTask
from omegaconf import II, MISSING

from fairseq_littlebird.checkpoints.dictionary import QUESTION
from fairseq_littlebird.data.binarized_text import check_text
from fairseq_littlebird.data.dictionary import load_dictionary, vocabulary
from fairseq_littlebird.data.folder_kind import LINES, check_kind
from fairseq_littlebird.data.recurring_span_dataset import RecurringSpanDataset
from fairseq_littlebird.data.shards import check_dictionaries, folder_of
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.tasks.bundled_files import BundledFiles, BundledFilesConfig
from fairseq_littlebird.tasks.chunks import Chunks
from fairseq_littlebird.tasks.own_criterion import OwnCriterion
from fairseq_littlebird.tasks.padding_insertion import PaddingInsertionConfig, padding_insertion
from fairseq_littlebird.tasks.split_use import SplitUse
from fairseq_littlebird.tasks.training_monitor import TrainingMonitor


@dataclass
class RecurringSpanSelectionConfig(BundledFilesConfig, PaddingInsertionConfig):
    data: str = field(
        default=MISSING, metadata={"help": "binarized folders, joined by colons; epochs take them in turn"}
    )
    tokens_per_sample: int = field(default=512, metadata={"help": "maximum number of tokens in a chunk"})
    sample_break_mode: SAMPLE_BREAK_MODE_CHOICES = field(
        default="none", metadata={"help": "where chunks may end; see masked_lm"}
    )
    shorten_method: SHORTEN_METHOD_CHOICES = field(
        default="none", metadata={"help": "for lines longer than a chunk; see masked_lm"}
    )
    shorten_data_split_list: str = field(default="", metadata={"help": "comma-separated splits to shorten"})
    max_span_length: int = field(default=10, metadata={"help": "maximum number of tokens in a recurring span"})
    max_questions: int = field(
        default=0, metadata={"help": "maximum number of questions per chunk; 0: 30, 120, 240 at 512, 2K, 4K tokens"}
    )
    free_end: bool = field(
        default=False, metadata={"help": "spans may end inside a word, for languages with particles (Korean)"}
    )
    seed: int = II("common.seed")


@register_task("recurring_span_selection", dataclass=RecurringSpanSelectionConfig)
class RecurringSpanSelectionTask(OwnCriterion, BundledFiles, TrainingMonitor, SplitUse, Chunks, MaskedLMTask):
    """Chunks as fairseq's masked_lm makes them; questions as :class:`RecurringSpanDataset` draws them."""

    cfg: RecurringSpanSelectionConfig

    @classmethod
    def setup_task(cls, cfg: RecurringSpanSelectionConfig, **kwargs: Any) -> Any:
        """Raises UserError where no span could ever be asked for."""
        for option, value, least in (
            ("--max-span-length", cfg.max_span_length, 1),
            ("--max-questions", cfg.max_questions, 0),
        ):
            if value < least:
                raise UserError(f"{option} {value}", remedy=f"give a whole number from {least}")
        return super().setup_task(cfg, **kwargs)

    @classmethod
    def load_dict(cls, cfg: RecurringSpanSelectionConfig) -> Dictionary:
        check_kind(cfg.data, "recurring_span_selection", LINES)
        check_dictionaries(cfg.data)
        return load_dictionary(folder_of(cfg.data))

    def load_split(self, split: str, epoch: int, combine: bool, training: bool) -> None:
        check_text(self.cfg.data, split, epoch, training=training)
        folder = folder_of(self.cfg.data)
        self.datasets[split] = RecurringSpanDataset(
            self._load_dataset_split(split, epoch, combine),
            vocabulary(self.dictionary, folder),
            question_id=self.dictionary.index(QUESTION),
            pad_id=self.dictionary.pad(),
            max_span_length=self.cfg.max_span_length,
            max_questions=self.cfg.max_questions,
            free_end=self.cfg.free_end,
            seed=self.cfg.seed,
            padding_insertion=padding_insertion(self.cfg, self.dictionary, folder, training, self.cfg.seed),
        )

    def build_model(self, model: Any, from_checkpoint: bool = False) -> Any:
        built = super().build_model(model, from_checkpoint)
        built.register_span_head("qass")
        return built

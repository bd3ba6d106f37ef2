"""Extractive question answering on prepared folders (appendix A.2)."""

# no postponed annotations: fairseq reads the types of the fields
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from fairseq.data import Dictionary
from fairseq.dataclass import ChoiceEnum
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II, MISSING

from fairseq_littlebird.checkpoints.dictionary import bundled_file
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.folder_kind import QUESTIONS, check_kind
from fairseq_littlebird.data.model_folder import settings_in
from fairseq_littlebird.data.prepared import PreparedQuestions, longest_answer, read_settings
from fairseq_littlebird.data.question_answering_dataset import QuestionAnsweringDataset
from fairseq_littlebird.data.shards import check_dictionaries, folder_of, folders_read
from fairseq_littlebird.data.structured_input import StructuredInput
from fairseq_littlebird.datasets import DatasetSpec, find_dataset
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.heads.span_selection import SPAN_HEADS
from fairseq_littlebird.tasks.bundled_files import BundledFiles, BundledFilesConfig
from fairseq_littlebird.tasks.own_criterion import OwnCriterion
from fairseq_littlebird.tasks.padding_insertion import PaddingInsertionConfig, padding_insertion
from fairseq_littlebird.tasks.split_use import SplitUse
from fairseq_littlebird.tasks.training_monitor import TrainingMonitor
from fairseq_littlebird.text.answer_spec import CANDIDATES
from fairseq_littlebird.text.window import GAP


@dataclass
class QuestionAnsweringConfig(BundledFilesConfig, PaddingInsertionConfig):
    data: str = field(
        default=MISSING,
        metadata={"help": "folders of littlebird-prepare qa, joined by colons; epochs take them in turn"},
    )
    span_head: ChoiceEnum(list(SPAN_HEADS)) = field(  # type: ignore[valid-type]
        default="linear",
        metadata={
            "help": "linear: the paper's; independent: the end does not depend on the start, as in BERT; "
            "bigbird: independent, after a feed-forward block; qass: the head of recurring span selection"
        },
    )
    unanswered_windows: float = field(
        default=0.1,
        metadata={"help": "fraction of training windows without the answer, for questions that have such windows"},
    )
    windows_per_question: Optional[int] = field(  # noqa: UP045 (fairseq reads no other spelling)
        default=None,
        metadata={
            "help": "windows per question in a training example, at least one with the answer, under one normaliser "
            "of starts; 0: all (default: 1, and all for TriviaQA's noisy answers)"
        },
    )
    virtual_paddings: int = field(
        default=GAP, metadata={"help": "positions skipped between paragraphs (HotpotQA, TriviaQA, WikiHop)"}
    )
    max_global_tokens: Optional[int] = field(  # noqa: UP045
        default=None,
        metadata={
            "help": "with --structured-input: maximum number of global tokens per window (default: HotpotQA 256, "
            "Natural Questions 230, TriviaQA 320, WikiHop 430, others 256)"
        },
    )
    max_positions: int = field(default=2**20, metadata={"help": "maximum number of tokens in a window"})
    seed: int = II("common.seed")


@register_task("question_answering", dataclass=QuestionAnsweringConfig)
class QuestionAnsweringTask(OwnCriterion, BundledFiles, TrainingMonitor, SplitUse, FairseqTask):
    """Training batches hold one window a question or several; those of evaluation hold all."""

    cfg: QuestionAnsweringConfig

    def __init__(self, cfg: QuestionAnsweringConfig, dictionary: Dictionary) -> None:
        super().__init__(cfg)
        self.dictionary = dictionary
        folder = folder_of(cfg.data)
        settings = read_settings(folder)
        self.dataset_spec: DatasetSpec = find_dataset(settings["dataset"], str(folder))
        self.max_answer_length = longest_answer(settings)
        self.virtual_paddings = cfg.virtual_paddings
        self.structured: StructuredInput | None = None

    @classmethod
    def setup_task(cls, cfg: QuestionAnsweringConfig, **kwargs: Any) -> "QuestionAnsweringTask":
        if not 0 <= cfg.unanswered_windows <= 1:
            raise UserError(f"--unanswered-windows {cfg.unanswered_windows:g}", remedy="give a fraction from 0 to 1")
        for option, value in (
            ("--windows-per-question", cfg.windows_per_question or 0),
            ("--virtual-paddings", cfg.virtual_paddings),
        ):
            if value < 0:
                raise UserError(f"{option} {value}", remedy="give a whole number from 0")
        check_kind(cfg.data, "question_answering", QUESTIONS)
        check_dictionaries(cfg.data)
        return cls(cfg, load_dictionary(folder_of(cfg.data)))

    def load_split(self, split: str, epoch: int, combine: bool, training: bool) -> None:
        for other in folders_read(self.cfg.data, training, epoch):
            check_windows(PreparedQuestions(other, split).settings, self.dictionary, str(other / "prepared.json"))
            if read_settings(other)["dataset"] != self.dataset_spec.name:
                remedy = f"train on folders of --dataset {self.dataset_spec.name} alone"
                raise UserError(f"of another data set than {folder_of(self.cfg.data)}", str(other), remedy)
        folder = folder_of(self.cfg.data, epoch)
        prepared = PreparedQuestions(folder, split, self.virtual_paddings)
        self.datasets[split] = dataset = QuestionAnsweringDataset(
            prepared,
            pad_id=self.dictionary.pad(),
            training=training,
            unanswered=self.cfg.unanswered_windows,
            seed=self.cfg.seed,
            padding_insertion=padding_insertion(self.cfg, self.dictionary, folder, training, self.cfg.seed),
            segments_and_types=self.dataset_spec.predicts_more_than_spans,
            noisy=self.dataset_spec.noisy,
            windows_per_question=self.cfg.windows_per_question,
            structured=self.structured,
        )
        if training:  # of a split that was prepared to be scored
            dataset.sizes[prepared.untrainable()] = 0

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """A trained model's limit goes before the folder's, unless that is of another data set, with a rule.

        Raises:
            UserError: as :class:`BundledFiles`, or where the windows that it read had other special symbols.
        """
        file = bundled_file({"task_state": state_dict}, "prepared.json")
        super().load_state_dict(state_dict)  # another dictionary, which other ids follow from, is told first
        check_windows(parsed(file) if file else {}, self.dictionary, "the checkpoint")
        if file:
            trained = settings_in(file)
            spec = self.dataset_spec
            if spec.limit_from_training or trained.dataset == spec.name:
                self.max_answer_length = trained.max_answer_length or spec.max_answer_length

    def build_model(self, model: Any, from_checkpoint: bool = False) -> Any:
        built = super().build_model(model, from_checkpoint)
        built.register_span_head(str(self.cfg.span_head))
        if not built.supports_padding_insertion:
            self.virtual_paddings = 0  # its positions are rows of a table, or relative
        self.structured = self._structured(built) if built.takes_structured_input else None
        of_global_tokens = self.structured is not None and not self.structured.in_text
        if self.dataset_spec.needs_segment_head or (of_global_tokens and self.dataset_spec.segments == CANDIDATES):
            built.register_segment_head(of_global_tokens)
        if self.dataset_spec.answer_types:
            built.register_answer_type_head(len(self.dataset_spec.answer_types))
        return built

    def _structured(self, model: Any) -> StructuredInput:
        """Which global tokens the windows of this data set have for a model.

        Raises:
            UserError: too few.
        """
        spec, maximum = self.dataset_spec, self.cfg.max_global_tokens
        if maximum is not None and maximum < 2:
            raise UserError(f"--max-global-tokens {maximum}", remedy="give at least 2, or leave it out")
        rules = spec.global_input if maximum is None else replace(spec.global_input, maximum=maximum)
        return StructuredInput(rules, spec.segments, model.global_tokens_in_text)

    @property
    def use(self) -> str:
        return f"--task question_answering on data of {self.dataset_spec.name}"

    @property
    def source_dictionary(self) -> Dictionary:
        return self.dictionary

    @property
    def target_dictionary(self) -> Dictionary:
        return self.dictionary

    def max_positions(self) -> int:
        return self.cfg.max_positions


def check_windows(settings: Mapping[str, Any], dictionary: Dictionary, where: str) -> None:
    """Raises UserError where windows were made with other ids of the special symbols than the dictionary has.

    Args:
        settings: of their ``prepared.json``; of another version it may say nothing of them.
        dictionary: the folder's.
        where: what has the settings, for messages.
    """
    theirs = settings.get("symbols")
    for symbol, index in theirs.items() if isinstance(theirs, dict) else ():
        if dictionary.index(symbol) != index:
            raise UserError(
                f"its windows have id {index} for {symbol}, dict.txt has {dictionary.index(symbol)}",
                where,
                "prepare the data again and train on it",
            )


def parsed(file: bytes) -> dict[str, Any]:
    """The settings of a bundled ``prepared.json``; empty where damaged: whoever needs them raises."""
    try:
        content = json.loads(file)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}

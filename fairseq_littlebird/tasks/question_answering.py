"""Extractive question answering on prepared folders (appendix A.2)."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.data import Dictionary
from fairseq.dataclass import ChoiceEnum
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II, MISSING

from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.prepared import PreparedQuestions, read_settings
from fairseq_littlebird.data.question_answering_dataset import QuestionAnsweringDataset
from fairseq_littlebird.data.shards import check_words, folder_of, folders_read
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.heads.span_selection import SPAN_HEADS
from fairseq_littlebird.tasks.carried_files import CarriedFiles
from fairseq_littlebird.tasks.padding_insertion import PaddingInsertionConfig, padding_insertion
from fairseq_littlebird.tasks.watched import Watched
from fairseq_littlebird.text.readers import DATA_SETS, EVIDENCE, LONG_ANSWERS, DataSet
from fairseq_littlebird.text.window import GAP


@dataclass
class QuestionAnsweringConfig(PaddingInsertionConfig):
    data: str = field(
        default=MISSING, metadata={"help": "folders of littlebird-prepare qa joined by colons, one an epoch in turn"}
    )
    span_head: ChoiceEnum(list(SPAN_HEADS)) = field(  # type: ignore[valid-type]
        default="linear",
        metadata={
            "help": "linear: the paper's reader; independent: an end whatever the start, as BERT's readers have it; "
            "bigbird: the same over a feed-forward block; qass: the head of recurring span selection, with its weights"
        },
    )
    unanswered_windows: float = field(
        default=0.1,
        metadata={
            "help": "share of training windows that lack the answer, where a question has such and one window trains"
        },
    )
    windows_per_question: Optional[int] = field(  # noqa: UP045 (fairseq reads no other spelling)
        default=None,
        metadata={
            "help": "windows of a question that train together, one with the answer among them, under one normaliser "
            "of starts; 0: all. By default 1, and all where answers are noisy (TriviaQA)"
        },
    )
    virtual_paddings: int = field(
        default=GAP, metadata={"help": "positions skipped between paragraphs (HotpotQA, TriviaQA, WikiHop)"}
    )
    max_positions: int = field(default=2**20, metadata={"help": "tokens of a window at most"})
    seed: int = II("common.seed")


@register_task("question_answering", dataclass=QuestionAnsweringConfig)
class QuestionAnsweringTask(CarriedFiles, Watched, FairseqTask):
    """Training batches hold one window a question or several; those of other splits hold all."""

    cfg: QuestionAnsweringConfig

    def __init__(self, cfg: QuestionAnsweringConfig, dictionary: Dictionary) -> None:
        super().__init__(cfg)
        self.dictionary = dictionary
        settings = read_settings(folder_of(cfg.data))
        self.dataset_name: str = settings["dataset"]
        self.data_set: DataSet = DATA_SETS[self.dataset_name]
        self.virtual_paddings = cfg.virtual_paddings

    @classmethod
    def setup_task(cls, cfg: QuestionAnsweringConfig, **kwargs: Any) -> "QuestionAnsweringTask":
        check_words(cfg.data)
        return cls(cfg, load_dictionary(folder_of(cfg.data)))

    def load_dataset(self, split: str, epoch: int = 1, combine: bool = False, **kwargs: Any) -> None:
        for other in folders_read(self.cfg.data, split, epoch):
            PreparedQuestions(other, split)
            if read_settings(other)["dataset"] != self.dataset_name:
                remedy = f"train on folders of --dataset {self.dataset_name} alone"
                raise UserError(f"of another data set than {folder_of(self.cfg.data)}", str(other), remedy)
        folder = folder_of(self.cfg.data, epoch)
        training = split.startswith("train")
        self.datasets[split] = QuestionAnsweringDataset(
            PreparedQuestions(folder, split, self.virtual_paddings),
            pad_id=self.dictionary.pad(),
            training=training,
            unanswered=self.cfg.unanswered_windows,
            seed=self.cfg.seed,
            padding_insertion=padding_insertion(self.cfg, self.dictionary, folder, split, self.cfg.seed),
            judged=bool(self.data_set.segments or self.data_set.answer_types),
            noisy=self.data_set.noisy,
            windows_per_question=self.cfg.windows_per_question,
        )

    def build_model(self, model: Any, from_checkpoint: bool = False) -> Any:
        built = super().build_model(model, from_checkpoint)
        built.register_span_head(str(self.cfg.span_head))
        if not built.takes_gaps:
            self.virtual_paddings = 0  # its positions are rows of a table, or relative
        if self.data_set.segments in (EVIDENCE, LONG_ANSWERS):
            built.register_segment_head()
        if self.data_set.answer_types:
            built.register_answer_type_head(len(self.data_set.answer_types))
        return built

    @property
    def source_dictionary(self) -> Dictionary:
        return self.dictionary

    @property
    def target_dictionary(self) -> Dictionary:
        return self.dictionary

    def max_positions(self) -> int:
        return self.cfg.max_positions

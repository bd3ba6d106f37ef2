"""Classification of whole documents, with padding insertion."""

# no postponed annotations: fairseq reads the types of the fields
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Optional

from fairseq.data import Dictionary, SortDataset
from fairseq.tasks import FairseqTask, register_task
from fairseq.tasks.sentence_prediction import SentencePredictionConfig, SentencePredictionTask
from omegaconf import MISSING

from fairseq_littlebird.data.binarized_text import check_text
from fairseq_littlebird.data.classification_metadata import ClassificationMetadata, read_metadata
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.folder_kind import TEXTS, check_kind
from fairseq_littlebird.data.label_set_dataset import LabelSetDataset
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertionDataset
from fairseq_littlebird.data.second_strand import SecondStrand, SecondStrandDataset
from fairseq_littlebird.data.shards import check_dictionaries, folder_of, folders
from fairseq_littlebird.data.token_index import TokenIndexDataset, TokenLengthsDataset
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.problem_type import MULTI_LABEL, PROBLEM_TYPES, REGRESSION, SINGLE_LABEL
from fairseq_littlebird.formats.scalars import finite_number
from fairseq_littlebird.tasks.bundled_files import BundledFiles, BundledFilesConfig
from fairseq_littlebird.tasks.padding_insertion import PaddingInsertionConfig, padding_insertion
from fairseq_littlebird.tasks.split_use import SplitUse
from fairseq_littlebird.tasks.training_monitor import TrainingMonitor

logger = logging.getLogger(__name__)

MEANING = {"labels": "labels are", "problem_type": "problem type is", "score_range": "scores are"}
"""What a checkpoint and a folder must agree on, and how an error begins."""


@dataclass
class LittleBirdSentencePredictionConfig(BundledFilesConfig, PaddingInsertionConfig, SentencePredictionConfig):
    data: str = field(
        default=MISSING,
        metadata={"help": "folders of littlebird-prepare classification, joined by colons; epochs take them in turn"},
    )
    init_token: Optional[int] = field(  # noqa: UP045
        default=0, metadata={"help": "id of the token before each text, which the head reads; 0: <s>"}
    )
    separator_token: Optional[int] = field(  # noqa: UP045
        default=2, metadata={"help": "id of the token before the second text of a pair; 2: </s>"}
    )
    max_positions: int = field(
        default=2**20, metadata={"help": "maximum number of tokens in a text, with --init-token"}
    )
    num_classes: int = field(
        default=-1,
        metadata={"help": "number of classes (default: that of the folder of littlebird-prepare classification)"},
    )
    problem_type: str = field(
        default=SINGLE_LABEL,
        metadata={
            "help": "what a text has: single_label, multi_label (any number of labels) or regression (a number); a "
            "folder of littlebird-prepare says it itself"
        },
    )


@register_task("littlebird_sentence_prediction", dataclass=LittleBirdSentencePredictionConfig)
class LittleBirdSentencePredictionTask(BundledFiles, TrainingMonitor, SplitUse, SentencePredictionTask):
    """fairseq's sentence_prediction, whose training batches carry position ids with gaps."""

    cfg: LittleBirdSentencePredictionConfig
    part = "input0"
    unlabelled: frozenset[str] = frozenset()
    """The splits without labels."""
    second_strand: Optional[SecondStrand] = None  # noqa: UP045
    """Set before a split of DNA is loaded, whose batches then have both strands."""

    @classmethod
    def setup_task(cls, cfg: LittleBirdSentencePredictionConfig, **kwargs: Any) -> "LittleBirdSentencePredictionTask":
        check_kind(cfg.data, "littlebird_sentence_prediction", TEXTS)
        prepared = read_same_metadata(cfg.data)
        if prepared is not None:
            if cfg.num_classes not in (-1, len(prepared.outputs)):
                raise UserError(
                    f"{cfg.num_classes} classes asked for, but {len(prepared.outputs)} labels",
                    str(folder_of(cfg.data) / "prepared.json"),
                    "leave out --num-classes, or prepare the texts with the same labels",
                )
            cfg.num_classes, cfg.problem_type = len(prepared.outputs), prepared.problem_type
        elif cfg.regression_target:
            cfg.problem_type = REGRESSION
        if cfg.problem_type not in PROBLEM_TYPES:
            raise UserError(f"--problem-type {cfg.problem_type}", remedy=f"choose {', '.join(PROBLEM_TYPES)}")
        cfg.regression_target = cfg.problem_type == REGRESSION  # fairseq's name for it
        if cfg.regression_target and cfg.num_classes == -1:
            cfg.num_classes = 1
        if cfg.num_classes < 1:
            raise UserError("the number of classes is not set", remedy="give it with --num-classes")
        check_dictionaries(cfg.data, "input0")
        with one_folder(cfg):
            task = super().setup_task(cfg, **kwargs)
        if prepared is not None:
            task.unlabelled = prepared.unlabelled
            # a checkpoint holds the state, and so knows what its classes mean
            task.state.merge_state_dict(prepared.state)
        return task

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raises UserError where a checkpoint's labels, scores or problem type are not the folder's."""
        for name, what in MEANING.items():
            own, theirs = self.state.state_dict.get(name), state_dict.get(name)
            if own is not None and theirs is not None and own != theirs:
                raise UserError(
                    f"the checkpoint's {what} others than those of {self.cfg.data}",
                    remedy="prepare the texts with --labels and the folder that it was trained on",
                )
        super().load_state_dict(state_dict)

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        if self.cfg.problem_type == MULTI_LABEL and getattr(cfg, "_name", None) == "sentence_prediction":
            remedy = "take --criterion littlebird_classification"
            raise UserError("a text has several labels here", "--criterion sentence_prediction", remedy)
        if self.cfg.problem_type == REGRESSION and getattr(cfg, "regression_target", True) is False:
            remedy = "add --regression-target, or take --criterion littlebird_classification"
            if getattr(cfg, "_name", None) == "sentence_prediction":
                raise UserError("a text has a score here", "--criterion sentence_prediction", remedy)
        return super().build_criterion(cfg, from_checkpoint)

    @property
    def labels(self) -> list[str]:
        """The names of the classes: those of prepared.json, or the symbols of label/dict.txt; none in regression."""
        if self.cfg.problem_type == REGRESSION:
            return []
        first = self.label_dictionary.nspecial
        symbols: list[str] = self.label_dictionary.symbols[first : first + self.cfg.num_classes]
        return list(self.state.state_dict.get("labels", symbols))

    @property
    def score_range(self) -> tuple[float, float] | None:
        """The scores that the outputs 0 and 1 stand for; None where nothing says so."""
        ends = self.state.state_dict.get("score_range")
        return None if ends is None else (float(ends[0]), float(ends[1]))

    @classmethod
    def load_dictionary(cls, filename: str) -> Dictionary:
        return load_dictionary(Path(filename).parent)

    def load_split(self, split: str, epoch: int, combine: bool, training: bool) -> None:
        labelled = not (self.cfg.regression_target or split in self.unlabelled)
        if training and split in self.unlabelled:
            raise UserError(f"no labels in the split {split!r}", self.cfg.data, "train on one that has them")
        if self.cfg.regression_target and split not in self.unlabelled:
            check_scores(self.cfg.data, split, epoch, self.cfg.num_classes, training)
        for part in ("input0", "label") if labelled else ("input0",):
            check_text(self.cfg.data, split, epoch, part, training)
        folder = folder_of(self.cfg.data) / "input0"
        pairs = (folder.parent / "input1").is_dir()
        if pairs and training and self.cfg.padding_insertion:
            logger.info("no padding is inserted into pairs of texts")
        inserting = training and not pairs
        self.padding_insertion = padding_insertion(self.cfg, self.dictionary, folder, inserting, self.cfg.seed)
        with one_folder(self.cfg, epoch):
            dataset = SentencePredictionTask.load_dataset(self, split, combine)
        items = dataset if self.cfg.no_shuffle else dataset.dataset
        tokens = items.defn["net_input.src_tokens"]
        items.defn["unpadded"] = TokenIndexDataset(tokens, self.dictionary.pad())
        items.defn["lengths"] = TokenLengthsDataset(tokens, self.dictionary.pad())
        if self.padding_insertion is not None:
            items.defn["net_input.positions"] = PaddingInsertionDataset(tokens, self.padding_insertion)
        if self.second_strand is not None:
            items.defn["second_strand"] = SecondStrandDataset(tokens, self.second_strand)
        if self.cfg.problem_type == MULTI_LABEL and "target" in items.defn:
            items.defn["target"] = LabelSetDataset(items.defn["target"], self.cfg.num_classes)
        if not self.cfg.no_shuffle:  # fairseq would batch long texts with short ones
            self.datasets[split] = SortDataset(items, sort_order=[*dataset.sort_order, items.sizes[0]])

    def get_batch_iterator(self, *arguments: Any, **options: Any) -> Any:
        # fairseq loses the last items where the multiple is larger than --batch-size
        return super().get_batch_iterator(*arguments, **options | {"required_batch_size_multiple": 1})

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        # past fairseq's own hook, which would make learned positions as long as the task's longest item
        model = self.built(partial(FairseqTask.build_model, self), cfg, from_checkpoint)
        model.register_classification_head(self.cfg.classification_head_name, num_classes=self.cfg.num_classes)
        return model


@contextmanager
def one_folder(cfg: LittleBirdSentencePredictionConfig, epoch: int = 1) -> Iterator[None]:
    """fairseq's sentence_prediction knows of one folder: inside, that of the epoch."""
    every, cfg.data = cfg.data, str(folder_of(cfg.data, epoch))
    try:
        yield
    finally:
        cfg.data = every


def check_scores(data: str, split: str, epoch: int, count: int, training: bool) -> None:
    """Raises UserError where the scores of a split are missing, not as many as its texts, or no numbers."""
    folder = folder_of(data, epoch)
    path = folder / "label" / f"{split}.label"
    if not path.is_file():
        if training:
            raise UserError("no scores", str(path), "prepare the folder with --problem-type regression")
        return
    lines = path.read_text("utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        values = [
            finite_number(value, "score", f"{path}, line {number}", "prepare the folder again")
            for value in line.split()
        ]
        if len(values) != count:
            raise UserError(f"{len(values)} scores instead of {count}", f"{path}, line {number}", "correct the line")
    texts = len(MappedItems(folder / "input0" / split))
    if len(lines) != texts:
        raise UserError(f"{len(lines)} scores for {texts} texts", str(path), "prepare the folder again")


def read_same_metadata(data: str) -> Optional[ClassificationMetadata]:  # noqa: UP045
    """The labels of folders joined by colons; None where the first has no prepared.json.

    Raises:
        UserError: as ``read_metadata``; or a folder has other labels than the first.
    """
    first, *others = folders(data)
    prepared = read_metadata(first)
    for folder in others:
        own = read_metadata(folder)
        if prepared and own and own.state != prepared.state:
            raise UserError(f"other labels than {first}", str(folder), f"prepare it with --labels {first}")
    return prepared

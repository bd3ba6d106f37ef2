"""Masked language modelling with padding insertion."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fairseq.data import Dictionary
from fairseq.tasks import register_task
from fairseq.tasks.masked_lm import MaskedLMConfig, MaskedLMTask

from fairseq_littlebird.criterions.indexed_masked_lm import IndexedMaskedLmLoss
from fairseq_littlebird.data.binarized_text import check_text
from fairseq_littlebird.data.dictionary import load_dictionary, vocabulary
from fairseq_littlebird.data.folder_kind import DNA, LINES, check_kind
from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertionDataset
from fairseq_littlebird.data.shards import check_dictionaries, folder_of
from fairseq_littlebird.data.token_index import TokenIndexDataset, TokenLengthsDataset
from fairseq_littlebird.data.unmasked_dataset import UnmaskedDataset
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.tasks.bundled_files import BundledFiles, BundledFilesConfig
from fairseq_littlebird.tasks.chunks import Chunks
from fairseq_littlebird.tasks.padding_insertion import PaddingInsertionConfig, padding_insertion
from fairseq_littlebird.tasks.split_use import SplitUse
from fairseq_littlebird.tasks.training_monitor import TrainingMonitor


@dataclass
class LittleBirdMaskedLMConfig(BundledFilesConfig, PaddingInsertionConfig, MaskedLMConfig):
    pass


@register_task("littlebird_masked_lm", dataclass=LittleBirdMaskedLMConfig)
class LittleBirdMaskedLMTask(BundledFiles, TrainingMonitor, SplitUse, Chunks, MaskedLMTask):
    """fairseq's masked_lm, whose training batches carry position ids with gaps."""

    cfg: LittleBirdMaskedLMConfig

    @classmethod
    def load_dict(cls, cfg: LittleBirdMaskedLMConfig) -> Dictionary:
        check_kind(cfg.data, "littlebird_masked_lm", LINES, DNA)
        check_dictionaries(cfg.data)
        return load_dictionary(folder_of(cfg.data))

    def load_split(self, split: str, epoch: int, combine: bool, training: bool) -> None:
        check_text(self.cfg.data, split, epoch, training=training)
        folder = folder_of(self.cfg.data)
        self.padding_insertion = padding_insertion(self.cfg, self.dictionary, folder, training, self.cfg.seed)
        MaskedLMTask.load_dataset(self, split, epoch, combine)

    def _regular_dataset(self, src_dataset: Any, target_dataset: Any) -> Any:
        dataset = super()._regular_dataset(src_dataset, target_dataset)
        # counted by the workers that load data, so that the device need not be asked
        dataset.defn["unpadded"] = TokenIndexDataset(src_dataset, self.dictionary.pad())
        dataset.defn["lengths"] = TokenLengthsDataset(src_dataset, self.dictionary.pad())
        dataset.defn["masked"] = TokenIndexDataset(target_dataset, self.dictionary.pad())
        if self.padding_insertion is not None:
            # a masked token ends its sentence, too
            text = UnmaskedDataset(src_dataset, target_dataset, self.dictionary.pad())
            dataset.defn["net_input.positions"] = PaddingInsertionDataset(text, self.padding_insertion)
        return dataset

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        if getattr(cfg, "_name", None) == "masked_lm":
            return IndexedMaskedLmLoss.build_criterion(cfg, self)
        return super().build_criterion(cfg, from_checkpoint)

    def sentence_ends(self, marks: str) -> tuple[np.ndarray, np.ndarray]:
        """Which tokens end a sentence, made of ``marks`` alone, and which stand for no text: <bool>[V] both.

        Raises:
            UserError: no token ends one.
        """
        folder = folder_of(self.cfg.data)
        tokens = vocabulary(self.dictionary, folder)
        ends = tokens.sentence_end(marks)
        if not ends.any():
            raise UserError(f"no token consists of {marks!r} alone", str(Path(folder) / "dict.txt"), "choose others")
        return ends, tokens.special

    def get_batch_iterator(self, *arguments: Any, **options: Any) -> Any:
        # fairseq loses the last batch where its size is not a multiple
        return super().get_batch_iterator(*arguments, **options | {"required_batch_size_multiple": 1})

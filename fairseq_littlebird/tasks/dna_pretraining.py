"""Pretraining on DNA: masked language modelling and next-sentence prediction (BigBird, section F.1)."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fairseq.data import Dictionary
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II, MISSING

from fairseq_littlebird.data.binarized_text import check_text
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.dna_chunks import DnaChunks
from fairseq_littlebird.data.dna_metadata import read_dna_settings
from fairseq_littlebird.data.dna_pretraining_dataset import SPECIAL, DnaPretrainingDataset
from fairseq_littlebird.data.folder_kind import DNA, check_kind
from fairseq_littlebird.data.shards import check_dictionaries, folder_of, folders
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.tasks.bundled_files import BundledFiles, BundledFilesConfig
from fairseq_littlebird.tasks.own_criterion import OwnCriterion
from fairseq_littlebird.tasks.padding_insertion import GapConfig, gaps_after
from fairseq_littlebird.tasks.split_use import SplitUse
from fairseq_littlebird.tasks.training_monitor import TrainingMonitor
from fairseq_littlebird.text.dna.vocabulary import base_counts
from fairseq_littlebird.text.masking import Masking


@dataclass
class DnaPretrainingConfig(BundledFilesConfig, GapConfig):
    data: str = field(
        default=MISSING,
        metadata={"help": "folders of littlebird-prepare dna, joined by colons; epochs take them in turn"},
    )
    tokens_per_sample: int = field(
        default=4096, metadata={"help": "maximum number of tokens in a pair, <s> and </s> included"}
    )
    mask_prob: float = field(default=0.15, metadata={"help": "share of the tokens to predict"})
    leave_unmasked_prob: float = field(default=0.1, metadata={"help": "share of these that stay as they are"})
    random_token_prob: float = field(
        default=0.1, metadata={"help": "share of these that are replaced by a random token"}
    )
    seed: int = II("common.seed")


@register_task("dna_pretraining", dataclass=DnaPretrainingConfig)
class DnaPretrainingTask(OwnCriterion, BundledFiles, TrainingMonitor, SplitUse, FairseqTask):
    """Pairs of sequences of a genome, as :class:`DnaPretrainingDataset` draws them."""

    cfg: DnaPretrainingConfig
    own_criterion = "masked_lm_nsp"
    predicts_next_sentence = True

    def __init__(self, cfg: DnaPretrainingConfig, dictionary: Dictionary) -> None:
        super().__init__(cfg)
        self.dictionary = dictionary
        if cfg.tokens_per_sample < SPECIAL + 2:
            raise UserError(f"--tokens-per-sample {cfg.tokens_per_sample}", remedy=f"give at least {SPECIAL + 2}")
        try:
            self.masking = Masking(
                dictionary.index("<mask>"),
                np.flatnonzero(base_counts(dictionary.symbols)),
                probability=cfg.mask_prob,
                kept=cfg.leave_unmasked_prob,
                random=cfg.random_token_prob,
            )
        except ValueError as error:
            raise UserError(str(error), "--mask-prob, --leave-unmasked-prob, --random-token-prob") from error

    @classmethod
    def setup_task(cls, cfg: DnaPretrainingConfig, **kwargs: Any) -> "DnaPretrainingTask":
        check_kind(cfg.data, "dna_pretraining", DNA)
        check_dictionaries(cfg.data)
        return cls(cfg, load_dictionary(folder_of(cfg.data)))

    def load_split(self, split: str, epoch: int, combine: bool, training: bool) -> None:
        for one in folders(self.cfg.data):
            read_dna_settings(one)
        check_text(self.cfg.data, split, epoch, training=training)
        folder = folder_of(self.cfg.data, epoch)
        self.datasets[split] = DnaPretrainingDataset(
            DnaChunks(folder, split, self.cfg.tokens_per_sample - SPECIAL, self.dictionary.eos()),
            self.dictionary,
            self.masking,
            seed=self.cfg.seed,
            # a token that ends a sentence is 1, any other 0
            padding_insertion=gaps_after(np.array([False, True]), self.cfg, training, self.cfg.seed),
        )

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Raises UserError for what is no encoder."""
        model = super().build_model(cfg, from_checkpoint)
        if not hasattr(model, "register_next_sentence_head"):
            what = f"--arch {getattr(cfg, '_name', '')} is no encoder"
            raise UserError(what, "--task dna_pretraining", "choose one, such as littlebird_base")
        model.register_next_sentence_head()
        return model

    def max_positions(self) -> int:
        return self.cfg.tokens_per_sample

    @property
    def source_dictionary(self) -> Dictionary:
        return self.dictionary

    @property
    def target_dictionary(self) -> Dictionary:
        return self.dictionary

"""Causal language modelling over a token stream of which no token is lost."""

# no postponed annotations: fairseq reads the types of the fields
import argparse
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
import torch
import torch.nn.functional as F
from fairseq.data import (
    AppendTokenDataset,
    Dictionary,
    IdDataset,
    ListDataset,
    NestedDictionaryDataset,
    NumelDataset,
    PadDataset,
    PrependTokenDataset,
    StripTokenDataset,
)
from fairseq.dataclass import ChoiceEnum
from fairseq.models import FairseqLanguageModel
from fairseq.sequence_generator import SequenceGenerator
from fairseq.tasks import register_task
from fairseq.tasks.language_modeling import LanguageModelingTask
from omegaconf import II, MISSING
from torch import Tensor

from fairseq_littlebird.data.binarized_text import check_text
from fairseq_littlebird.data.character_metadata import is_characters
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.folder_kind import CHARACTERS, check_kind
from fairseq_littlebird.data.language_modeling_dataset import LanguageModelingDataset
from fairseq_littlebird.data.shards import check_dictionaries, folder_of
from fairseq_littlebird.data.token_stream import TokenStream
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.text_model import TextModel
from fairseq_littlebird.tasks.bundled_files import BundledFiles, BundledFilesConfig
from fairseq_littlebird.tasks.line_tokenizer import LineTokenizer
from fairseq_littlebird.tasks.split_use import SplitUse
from fairseq_littlebird.tasks.training_monitor import TrainingMonitor
from fairseq_littlebird.text.tokenizers import load_tokenizer

NONE, EOS = BREAK_MODES = ("none", "eos")


@dataclass
class LittleBirdLanguageModelingConfig(BundledFilesConfig):
    data: str = field(
        default=MISSING,
        metadata={
            "help": "folders of littlebird-prepare characters or fairseq-preprocess --only-source, joined by colons; "
            "epochs take them in turn"
        },
    )
    sample_break_mode: ChoiceEnum(BREAK_MODES) = field(  # type: ignore[valid-type]
        default=NONE,
        metadata={
            "help": "none: a split is one text, cut into blocks of --tokens-per-sample tokens; eos: every line is a "
            "text of its own, cut only where it is longer"
        },
    )
    tokens_per_sample: int = field(default=1024, metadata={"help": "maximum number of tokens in a block"})
    max_target_positions: Optional[int] = field(  # noqa: UP045
        default=None, metadata={"help": "maximum number of positions of fairseq's own language models"}
    )
    # fairseq's own language models look it up
    add_bos_token: bool = field(default=False, metadata={"help": argparse.SUPPRESS})
    # fairseq draws the order of the epoch that a run starts in, for all epochs: one that goes on later would differ
    rebuild_batches: bool = field(default=True, metadata={"help": "must be on: batches change each epoch"})
    seed: int = II("common.seed")


@register_task("littlebird_language_modeling", dataclass=LittleBirdLanguageModelingConfig)
class LittleBirdLanguageModelingTask(BundledFiles, TrainingMonitor, SplitUse, LanguageModelingTask):
    """fairseq's language_modeling with blocks of its own: the last short one is kept, and a token is predicted once."""

    cfg: LittleBirdLanguageModelingConfig

    def __init__(self, cfg: LittleBirdLanguageModelingConfig, dictionary: Dictionary) -> None:
        super().__init__(cfg, dictionary)
        self.cfg = cfg
        self.ends = not is_characters(folder_of(cfg.data))  # whether texts have </s>

    @classmethod
    def setup_task(cls, cfg: LittleBirdLanguageModelingConfig, **kwargs: Any) -> "LittleBirdLanguageModelingTask":
        check_kind(cfg.data, "littlebird_language_modeling", CHARACTERS)
        check_dictionaries(cfg.data)
        if cfg.add_bos_token:
            raise UserError("--add-bos-token: a text begins with </s>, as it does in generation", remedy="leave it out")
        if str(cfg.sample_break_mode) == EOS and is_characters(folder_of(cfg.data)):
            raise UserError(
                "--sample-break-mode eos: a split of characters is one text, whose line ends are characters",
                str(folder_of(cfg.data)),
                "leave it out, or binarize lines: littlebird-prepare text, then fairseq-preprocess --only-source",
            )
        if cfg.tokens_per_sample < 1:
            raise UserError(
                f"blocks of {cfg.tokens_per_sample} tokens",
                "--tokens-per-sample",
                "give a positive number, and in fairseq-eval-lm one above --context-window",
            )
        return cls(cfg, load_dictionary(folder_of(cfg.data), added=()))

    def load_split(self, split: str, epoch: int, combine: bool, training: bool) -> None:
        check_text(self.cfg.data, split, epoch, training=training)
        stream = TokenStream.of_split(folder_of(self.cfg.data, epoch), split, combine)
        size, lines = self.cfg.tokens_per_sample, str(self.cfg.sample_break_mode) == EOS
        self.datasets[split] = LanguageModelingDataset(stream, self.dictionary, size, size, lines, shuffle=training)

    def build_dataset_for_inference(
        self, src_tokens: list[Any], src_lengths: list[int], **unused: Any
    ) -> NestedDictionaryDataset:
        """Beginnings of texts to go on with, or texts to score: token ids <int64>[L], with or without ``</s>``."""
        pad, eos = self.dictionary.pad(), self.dictionary.eos()
        lengths = np.array(src_lengths)
        texts = StripTokenDataset(ListDataset(src_tokens, lengths), eos)
        sources = PrependTokenDataset(texts, token=eos)
        return NestedDictionaryDataset(
            {
                "id": IdDataset(),
                "net_input": {
                    "src_tokens": PadDataset(sources, pad_idx=pad, left_pad=False),
                    "src_lengths": NumelDataset(sources, reduce=False),
                },
                "target": PadDataset(AppendTokenDataset(texts, token=pad), pad_idx=pad, left_pad=False),
            },
            sizes=[lengths],
        )

    def filter_indices_by_size(
        self, indices: Any, dataset: Any, max_positions: Any = None, ignore_invalid_inputs: bool = False
    ) -> Any:
        """Raises UserError where blocks are too long; fairseq drops them."""
        if isinstance(dataset, LanguageModelingDataset):
            longest = int(dataset.sizes.max(initial=0))
            if max_positions is not None and longest > max_positions:
                raise UserError(
                    f"blocks of {longest:,} tokens, but the model or --max-tokens allows {max_positions:,}",
                    "--tokens-per-sample",
                    "lower it",
                )
            return indices
        return super().filter_indices_by_size(indices, dataset, max_positions, ignore_invalid_inputs)

    def get_batch_iterator(self, *arguments: Any, **options: Any) -> Any:
        # fairseq loses the last batch where its size is not a multiple
        return super().get_batch_iterator(*arguments, **options | {"required_batch_size_multiple": 1})

    def eval_lm_dataloader(self, dataset: Any, *arguments: Any, context_window: int = 0, **options: Any) -> Any:
        """fairseq's, with context that does not depend on what a worker process has read before."""
        if context_window > 0:
            stride = self.cfg.tokens_per_sample  # fairseq-eval-lm has taken the context off
            dataset = dataset.strided(length=stride + context_window, stride=stride)
        return super().eval_lm_dataloader(dataset, *arguments, **options)

    def build_generator(self, models: Any, args: Any, *others: Any, **options: Any) -> Any:
        """fairseq's; texts of characters or bytes, which have no ``</s>``, become as long as they may."""
        if self.ends or getattr(args, "print_alignment", False):
            return super().build_generator(models, args, *others, **options)
        return super().build_generator(TextModel(models, self.dictionary, ends=False), args, *others, **options)

    def inference_step(
        self, generator: Any, models: Any, sample: Any, prefix_tokens: Any = None, constraints: Any = None
    ) -> Any:
        """fairseq's, where some rows of a batch begin with ``</s>`` and others, of blocks inside a text, do not."""
        tokens = sample["net_input"]["src_tokens"]
        if prefix_tokens is None and tokens.numel():
            moved = F.pad(tokens[:, 1:], (0, 1), value=self.dictionary.pad())
            prefix_tokens = torch.where(tokens[:, :1] == self.dictionary.eos(), moved, tokens)
        if isinstance(getattr(generator, "model", None), TextModel):
            given = 0 if prefix_tokens is None else prefix_tokens.shape[1]
            generator.model.between(given, _longest(generator, tokens))
        return super().inference_step(generator, models, sample, prefix_tokens, constraints)

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Raises UserError for a model that is no language model."""
        return self.built(self._language_model, cfg, from_checkpoint)

    def _language_model(self, cfg: Any, from_checkpoint: bool) -> Any:
        model = super(LanguageModelingTask, self).build_model(cfg, from_checkpoint)
        if not isinstance(model, FairseqLanguageModel):
            raise UserError(
                f"--arch {getattr(cfg, '_name', '')} is no causal language model",
                "--task littlebird_language_modeling",
                "choose one, such as longformer_lm_small",
            )
        return model

    def build_bpe(self, args: Any) -> Any:
        """fairseq's where one is named; otherwise the folder's tokenizer, if it has one."""
        if getattr(args, "_name", args):
            return super().build_bpe(args)
        try:
            return LineTokenizer(load_tokenizer(self.folder, self.folder / "dict.txt"))
        except UserError:
            return None


def _longest(generator: SequenceGenerator, tokens: Tensor) -> int:
    """With how many tokens fairseq's search ends a text of the batch <int64>[B, L], those that it is given included."""
    if generator.match_source_len:
        return tokens.shape[1]
    return min(int(generator.max_len_a * tokens.shape[1] + generator.max_len_b), generator.max_len - 1)

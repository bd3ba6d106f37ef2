"""Summarization of long documents with encoder–decoder models."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from fairseq import utils
from fairseq.data import Dictionary
from fairseq.dataclass import ChoiceEnum
from fairseq.logging import metrics
from fairseq.models import FairseqEncoderDecoderModel
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II, MISSING

from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.folder_kind import SUMMARIES, check_kind
from fairseq_littlebird.data.shards import check_dictionaries, folder_of, folders_read
from fairseq_littlebird.data.summarization_dataset import SummarizationDataset, Tokens, check_split, mapped_tokens
from fairseq_littlebird.data.summarization_metadata import DOCUMENT, SUMMARY
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics.rouge import mean_scores, rouge
from fairseq_littlebird.models.generation import (
    LENGTH_PENALTIES,
    POWER,
    BeamSearchSettings,
    SummaryGenerator,
    generator_options,
)
from fairseq_littlebird.tasks.bundled_files import BundledFiles, BundledFilesConfig
from fairseq_littlebird.tasks.padding_insertion import PaddingInsertionConfig, padding_insertion
from fairseq_littlebird.tasks.split_use import SplitUse
from fairseq_littlebird.tasks.training_monitor import TrainingMonitor
from fairseq_littlebird.text.tokenizers import Tokenizer, load_tokenizer

ROUGE = ("rouge1", "rouge2", "rougeL")
"""What is reported at validation; ROUGE-Lsum needs sentences on lines of their own, which tokens do not tell."""


@dataclass
class SummarizationConfig(BundledFilesConfig, PaddingInsertionConfig):
    data: str = field(
        default=MISSING,
        metadata={"help": "folders of littlebird-prepare summarization, joined by colons; epochs take them in turn"},
    )
    decoder_start: str = field(
        default="</s>",
        metadata={"help": "symbol that the decoder begins with; a trained model keeps that of its training"},
    )
    truncate_source: bool = field(
        default=False, metadata={"help": "cut documents that are longer than the model reads, instead of an error"}
    )
    truncate_target: bool = field(
        default=False, metadata={"help": "cut summaries that are longer than the model writes, instead of an error"}
    )
    max_source_positions: int = field(default=2**20, metadata={"help": "maximum number of tokens in a document"})
    max_target_positions: int = field(default=2**20, metadata={"help": "maximum number of tokens in a summary"})
    length_penalty_kind: ChoiceEnum(LENGTH_PENALTIES) = field(  # type: ignore[valid-type]
        default=POWER,
        metadata={"help": "power: n^lenpen, fairseq's; gnmt: ((5 + n) / 6)^lenpen, the BigBird paper's"},
    )
    eval_rouge: int = field(
        default=32,
        metadata={"help": "validation generates summaries of the first so many documents and reports their ROUGE"},
    )
    eval_rouge_beam: int = field(default=1, metadata={"help": "beam of these summaries"})
    eval_rouge_max_length: int = field(default=200, metadata={"help": "maximum number of tokens of these summaries"})
    seed: int = II("common.seed")


@register_task("summarization", dataclass=SummarizationConfig)
class SummarizationTask(BundledFiles, TrainingMonitor, SplitUse, FairseqTask):
    """Documents that begin with ``<s>`` and are padded on the right, and their summaries."""

    cfg: SummarizationConfig

    def __init__(self, cfg: SummarizationConfig, dictionary: Dictionary) -> None:
        super().__init__(cfg)
        self.dictionary = dictionary
        self.scoring = BeamSearchSettings(beam=cfg.eval_rouge_beam, max_length=cfg.eval_rouge_max_length)
        if cfg.decoder_start not in dictionary:
            where = str(self.folder / "dict.txt")
            raise UserError(f"no {cfg.decoder_start!r} for --decoder-start", where, "name one of its symbols")
        # a checkpoint holds the state, and so what its decoder begins with
        self.state.merge_state_dict({"decoder_start": cfg.decoder_start})

    @classmethod
    def setup_task(cls, cfg: SummarizationConfig, **kwargs: Any) -> "SummarizationTask":
        check_kind(cfg.data, "summarization", SUMMARIES)
        check_dictionaries(cfg.data)
        return cls(cfg, load_dictionary(folder_of(cfg.data)))

    @property
    def decoder_start(self) -> int:
        """The id of the token that the decoder begins with."""
        return int(self.dictionary.index(self.state.state_dict["decoder_start"]))

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The folder's."""
        return load_tokenizer(self.folder, self.folder / "dict.txt")

    def text_of(self, tokens: Any) -> str:
        """The text of token ids <int>[L], without special symbols."""
        symbols = self.dictionary.symbols
        return self.tokenizer.decode(symbols[int(t)] for t in tokens if int(t) >= self.dictionary.nspecial)

    def load_split(self, split: str, epoch: int, combine: bool, training: bool) -> None:
        for other in folders_read(self.cfg.data, training, epoch):
            check_split(other, split, summarized=training)
        folder = folder_of(self.cfg.data, epoch)
        summarized = (folder / f"{split}.{SUMMARY}.idx").exists()
        self.datasets[split] = SummarizationDataset(
            mapped_tokens(folder, split, DOCUMENT),
            mapped_tokens(folder, split, SUMMARY) if summarized else None,
            self.dictionary,
            self.decoder_start,
            training=training,
            padding_insertion=padding_insertion(self.cfg, self.dictionary, folder, training, self.cfg.seed),
        )

    def build_dataset_for_inference(
        self, src_tokens: list[Any], src_lengths: list[int], constraints: Any = None
    ) -> SummarizationDataset:
        """Documents without summaries: token ids <int>[L] from the first of the text to ``</s>``.

        Raises:
            UserError: one has no token but ``</s>``.
        """
        for n, length in enumerate(src_lengths):
            if length < 2:
                raise UserError("an empty document", f"document {n}", "give its text")
        start = torch.tensor([self.dictionary.bos()])
        documents = Tokens([torch.cat([start, t.long()]) for t in src_tokens], [len(t) + 1 for t in src_tokens])
        return SummarizationDataset(documents, None, self.dictionary, self.decoder_start, constraints=constraints)

    def filter_indices_by_size(
        self, indices: Any, dataset: Any, max_positions: Any = None, ignore_invalid_inputs: bool = False
    ) -> Any:
        """Raises UserError where documents or summaries are too long and are not to be cut; fairseq drops them."""
        if not isinstance(max_positions, tuple):
            return super().filter_indices_by_size(indices, dataset, max_positions, ignore_invalid_inputs)
        most_in, most_out = max_positions
        dataset.truncate(most_in if self.cfg.truncate_source else None, most_out if self.cfg.truncate_target else None)
        if dataset.training or not ignore_invalid_inputs:
            check_lengths("documents", dataset.src_sizes, most_in, "--truncate-source", "--max-tokens")
            if dataset.tgt is not None:
                check_lengths("summaries", dataset.tgt_sizes, most_out, "--truncate-target", "--max-summary-tokens")
        return super().filter_indices_by_size(indices, dataset, max_positions, ignore_invalid_inputs)

    def get_batch_iterator(self, *arguments: Any, **options: Any) -> Any:
        # fairseq loses the last batch where its size is not a multiple
        return super().get_batch_iterator(*arguments, **options | {"required_batch_size_multiple": 1})

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Raises UserError for an encoder alone."""
        model = super().build_model(cfg, from_checkpoint)
        if not isinstance(model, FairseqEncoderDecoderModel):
            raise UserError(
                f"--arch {getattr(cfg, '_name', '')} is an encoder alone",
                "--task summarization",
                "choose an encoder–decoder, such as led_base or littlebird_seq2seq_base",
            )
        return model

    def build_generator(
        self, models: Any, args: Any, seq_gen_cls: Any = None, extra_gen_cls_kwargs: Any = None, **others: Any
    ) -> Any:
        """fairseq's, with :class:`SummaryGenerator` for its generator."""
        BeamSearchSettings(
            beam=getattr(args, "beam", 5),
            no_repeat_ngram_size=getattr(args, "no_repeat_ngram_size", 0),
            length_penalty=getattr(args, "lenpen", 1.0),
        )
        extra = dict(extra_gen_cls_kwargs or {})
        if seq_gen_cls is None and not getattr(args, "print_alignment", False):
            seq_gen_cls = SummaryGenerator
            extra["decoder_start"] = self.decoder_start
            extra["length_penalty_kind"] = str(getattr(args, "length_penalty_kind", self.cfg.length_penalty_kind))
        return super().build_generator(models, args, seq_gen_cls, extra, **others)

    def build_bpe(self, args: Any) -> Any:
        """fairseq's where one is named; otherwise the folder's tokenizer."""
        named = getattr(args, "_name", args)
        return super().build_bpe(args) if named else FolderTokenizer(self.tokenizer)

    def valid_step(self, sample: Any, model: Any, criterion: Any) -> Any:
        loss, sample_size, log = super().valid_step(sample, model, criterion)
        return loss, sample_size, log | self._rouge(sample, model)

    def _rouge(self, sample: Any, model: Any) -> dict[str, float]:
        """Sums of the generated summaries' ROUGE, and how many there are; the same names for every batch."""
        # workers add up what they log, of different batches, by its place
        nothing = {"summaries": 0, **dict.fromkeys(ROUGE, 0.0)}
        if not sample or sample.get("target") is None:
            return nothing
        rows = torch.nonzero(sample["id"] < self.cfg.eval_rouge).flatten()
        if not len(rows):
            return nothing
        net_input = {k: v[rows] for k, v in sample["net_input"].items() if torch.is_tensor(v)}
        generator = self.build_generator([model], generator_options(self.scoring))
        found = self.inference_step(generator, [model], {"id": sample["id"][rows], "net_input": net_input})
        golds = (utils.strip_pad(target, self.dictionary.pad()) for target in sample["target"][rows])
        scores = [
            rouge(self.text_of(gold), self.text_of(hypotheses[0]["tokens"]))
            for gold, hypotheses in zip(golds, found, strict=True)
        ]
        means = mean_scores(scores)
        return {"summaries": len(scores)} | {kind: means[kind] * len(scores) for kind in ROUGE}

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: Any) -> None:
        super().reduce_metrics(logging_outputs, criterion)
        count = sum(int(log.get("summaries", 0)) for log in logging_outputs)
        for kind in ROUGE if count else ():
            total = sum(float(log.get(kind, 0)) for log in logging_outputs)
            metrics.log_scalar(kind, total / count, count, round=2)

    def max_positions(self) -> tuple[int, int]:
        return self.cfg.max_source_positions, self.cfg.max_target_positions

    @property
    def source_dictionary(self) -> Dictionary:
        return self.dictionary

    @property
    def target_dictionary(self) -> Dictionary:
        return self.dictionary


class FolderTokenizer:
    """A tokenizer as fairseq's ``--bpe``: text to symbols with spaces between them, and back."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> str:
        return " ".join(self._tokenizer.tokenize(" ".join(text.split())))

    def decode(self, symbols: str) -> str:
        return self._tokenizer.decode(symbols.split())


def check_lengths(what: str, sizes: np.ndarray, most: int, option: str, prepare: str) -> None:
    """Raises UserError where an item is longer than so many tokens."""
    count = int((sizes > most).sum())
    if count:
        raise UserError(
            f"{count:,} {what} of more than {most:,} tokens, the most that the model or --max-tokens allows (the "
            f"longest has {int(sizes.max()):,})",
            remedy=f"cut them with {option}, or prepare them with {prepare} {most}",
        )

"""A trained classifier, or several, over a split."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fairseq_littlebird.data.batch import pad
from fairseq_littlebird.data.classification_metadata import read_metadata
from fairseq_littlebird.data.classification_preparation import TextEncoder
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.data.second_strand import SecondStrand
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.problem_type import MULTI_LABEL, REGRESSION
from fairseq_littlebird.formats.texts import Text
from fairseq_littlebird.inference.answering import by_tokens
from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.pipelines.batches import batches
from fairseq_littlebird.tasks.littlebird_sentence_prediction import LittleBirdSentencePredictionTask
from fairseq_littlebird.text.dna.vocabulary import check_dna_tokenizer
from fairseq_littlebird.text.row_array import RowArray, StoredRows
from fairseq_littlebird.text.tokenizers import Tokenizer, load_tokenizer, without_surrogates

Ensemble = Sequence[tuple[EncoderModel, LittleBirdSentencePredictionTask]]
"""One model and its task, or several whose outputs are averaged, each from
:func:`fairseq_littlebird.pipelines.loading.load_trained` for the same folder."""


@torch.inference_mode()
def split_outputs(
    ensemble: Ensemble, split: str, max_tokens: int = 32768, workers: int = 0, reverse_complement: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The outputs of every text of a split, batch by batch, with a progress bar.

    Args:
        ensemble: the models.
        split: the split's name.
        max_tokens: tokens encoded together.
        workers: processes that load data.
        reverse_complement: of DNA, average the outputs of both strands.
    Yields:
        the numbers of the texts of a batch, int64[B], and their probabilities or scores, float64[B, K].
    Raises:
        UserError: the split is missing or truncated, or is no DNA with ``reverse_complement``.
    """
    first, task = ensemble[0]
    task.second_strand = second_strand(task) if reverse_complement else None
    dataset, pad_id = task.load_dataset(split), task.source_dictionary.pad()
    max_batch = max(max_tokens, int(dataset.sizes[0].max(initial=1)))
    with tqdm(total=len(dataset), desc="classifying", unit=" texts", disable=not len(dataset)) as progress:
        for batch in batches(first, dataset, max_batch, workers):
            inputs = [batch["net_input"]]
            if reverse_complement:
                tokens = batch["second_strand"]
                inputs.append({"src_tokens": tokens, "src_lengths": (tokens != pad_id).sum(-1)})
            each = [class_outputs(model, own, net_input) for model, own in ensemble for net_input in inputs]
            yield batch["id"].cpu().numpy(), torch.stack(each).mean(0).cpu().numpy()
            progress.update(len(batch["id"]))


@contextmanager
def stored(batches: Iterable[tuple[np.ndarray, np.ndarray]], width: int) -> Iterator[StoredRows]:
    """The outputs of a split in the order of its texts, <float64>[texts, K], on the disk for as long as the block runs.

    Args:
        batches: of :func:`split_outputs`.
        width: K.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outputs.npy"
        with RowArray(path, width, np.float64) as rows:
            for indices, outputs in batches:
                rows.put_all(indices, outputs)
        with StoredRows(path) as found:
            yield found


def classifications_of(
    task: LittleBirdSentencePredictionTask, split: str, outputs: Iterable[np.ndarray]
) -> Iterator[Classification]:
    """The outputs [K] of the texts of a split, in its order, under the names of texts and labels."""
    path = Path(task.cfg.data) / "id" / split
    ids = MappedItems(path) if path.parent.is_dir() else None  # fairseq-preprocess knows none: items are counted
    for index, own in enumerate(outputs):
        name = str(index) if ids is None else ids[index].tobytes().decode()
        yield classification_of(task, name, own.tolist())


def second_strand(task: LittleBirdSentencePredictionTask) -> SecondStrand:
    """What makes tokens of the other strand of a folder's sequences.

    Raises:
        UserError: the folder is not of single sequences of DNA.
    """
    folder = Path(task.cfg.data)
    if (folder / "input1").is_dir():
        raise UserError("pairs of texts", str(folder), "leave out --reverse-complement")
    tokenizer = load_tokenizer(folder / "input0", folder / "input0" / "dict.txt")
    check_dna_tokenizer(tokenizer, folder / "input0")
    metadata = read_metadata(folder)
    return SecondStrand(tokenizer, task.source_dictionary, metadata.max_tokens if metadata else None)


@torch.inference_mode()
def classified(
    model: EncoderModel,
    task: LittleBirdSentencePredictionTask,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    seconds: Sequence[str] | None,
    max_tokens: int,
    batch_tokens: int = 32768,
) -> list[Classification]:
    """What a classifier says of texts in memory, cut to ``max_tokens`` as ``littlebird-prepare`` cuts them.

    Args:
        model, task: the model in evaluation mode, on its device, and its task.
        tokenizer: its symbols are the dictionary's.
        texts: to classify.
        seconds: the second of each pair, or None.
        max_tokens: of a text, or of a pair together.
        batch_tokens: tokens encoded together.
    """
    encode, cfg = TextEncoder(tokenizer, task.source_dictionary, max_tokens), task.cfg
    before = [[] if token is None else [token] for token in (cfg.init_token, cfg.separator_token)]
    items = []
    for index, text in enumerate(texts):
        second = None if seconds is None else without_surrogates(seconds[index])
        parts = encode(Text(str(index), f"text {index}", without_surrogates(text), second, None, None)).tokens
        eos = [task.source_dictionary.eos()]
        items.append(np.array([id_ for own, part in zip(before, parts, strict=False) for id_ in (*own, *part, *eos)]))
    lengths, order = torch.tensor([len(one) for one in items], dtype=torch.long).sort(descending=True, stable=True)
    device = next(model.parameters()).device
    found: dict[int, Classification] = {}
    for part, _ in by_tokens(order, lengths.tolist(), batch_tokens):
        here = part.tolist()
        tokens = pad([items[index] for index in here], task.source_dictionary.pad()).to(device)
        sizes = torch.tensor([len(items[index]) for index in here], device=device)
        outputs = class_outputs(model, task, {"src_tokens": tokens, "src_lengths": sizes}).tolist()
        found |= {n: classification_of(task, str(n), own) for n, own in zip(here, outputs, strict=True)}
    return [found[index] for index in range(len(texts))]


def class_outputs(model: EncoderModel, task: LittleBirdSentencePredictionTask, net_input: Any) -> Tensor:
    """<float64>[B, K]: probabilities of the labels, or scores within the range of the training's.

    Args:
        model, task: one of an :data:`Ensemble`.
        net_input: of a batch.
    """
    logits, _ = model(**net_input, features_only=True, classification_head_name=task.cfg.classification_head_name)
    logits = logits.double()
    if task.cfg.problem_type == REGRESSION:
        if task.score_range is None:
            return logits
        low, high = task.score_range
        return low + logits.clamp(0, 1) * (high - low)
    return logits.sigmoid() if task.cfg.problem_type == MULTI_LABEL else logits.softmax(-1)


def classification_of(task: LittleBirdSentencePredictionTask, name: str, outputs: list[float]) -> Classification:
    """A text's outputs under the labels' names.

    Raises:
        UserError: regression with several numbers a text, which fairseq's own folders may have.
    """
    if task.cfg.problem_type == REGRESSION:
        if len(outputs) != 1:
            raise UserError(
                f"the checkpoint gives {len(outputs)} numbers a text", remedy="train it with --num-classes 1"
            )
        return Classification(name, {}, REGRESSION, outputs[0])
    return Classification(name, dict(zip(task.labels, outputs, strict=True)), task.cfg.problem_type)

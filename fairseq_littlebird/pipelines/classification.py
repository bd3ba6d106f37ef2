"""A trained classifier, or several, over a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fairseq_littlebird.data.batch import pad
from fairseq_littlebird.data.classification_preparation import TextEncoder
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.problem_type import MULTI_LABEL, REGRESSION
from fairseq_littlebird.formats.texts import Text
from fairseq_littlebird.inference.answering import by_tokens
from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.pipelines.batches import batches
from fairseq_littlebird.tasks.littlebird_sentence_prediction import LittleBirdSentencePredictionTask
from fairseq_littlebird.text.tokenizers import Tokenizer, without_surrogates


@torch.inference_mode()
def classifications(
    ensemble: Sequence[tuple[EncoderModel, LittleBirdSentencePredictionTask]],
    split: str,
    max_tokens: int = 32768,
    workers: int = 0,
) -> Iterator[Classification]:
    """The labels' probabilities, or the score, of every text of a split, in its order, with a progress bar.

    Args:
        ensemble: one model and its task, or several whose outputs are averaged, each from
            :func:`fairseq_littlebird.pipelines.loading.load_trained` for the same folder.
        split: the split's name.
        max_tokens: tokens encoded together.
        workers: processes that load data.
    Raises:
        UserError: the split is missing or truncated.
    """
    first, task = ensemble[0]
    dataset = task.load_dataset(split)
    path = Path(task.cfg.data) / "id" / split
    ids = MappedItems(path) if path.parent.is_dir() else None  # fairseq-preprocess knows none: items are counted
    max_batch = max(max_tokens, int(dataset.sizes[0].max(initial=1)))
    outputs = torch.zeros(len(dataset), task.cfg.num_classes, dtype=torch.double)
    with tqdm(total=len(dataset), desc="classifying", unit=" texts", disable=not len(dataset)) as progress:
        for batch in batches(first, dataset, max_batch, workers):
            each = [class_outputs(model, own, batch["net_input"]) for model, own in ensemble]
            outputs[batch["id"].cpu()] = torch.stack(each).mean(0).cpu()
            progress.update(len(batch["id"]))
    for index, own in enumerate(outputs):
        name = str(index) if ids is None else ids[index].tobytes().decode()
        yield classification_of(task, name, own.tolist())


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
        model, task: one of those of :func:`classifications`.
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

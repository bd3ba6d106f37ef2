"""Which sentences a classifier's output depends on, for the texts of a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq import utils
from torch import Tensor

from fairseq_littlebird.data.dictionary import vocabulary
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.data.shards import folder_of
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.problem_type import MULTI_LABEL, REGRESSION, SCORE
from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.inference.text_attribution import AttributedPart, TextAttribution, part_bounds
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.pipelines.classification import class_outputs, classification_of
from fairseq_littlebird.tasks.littlebird_sentence_prediction import LittleBirdSentencePredictionTask
from fairseq_littlebird.text.tokenizers import load_tokenizer
from fairseq_littlebird.text.vocabulary import Vocabulary

SENTENCE_ENDS = ".?!。？！…"


def explained_classifications(
    model: EncoderModel, task: LittleBirdSentencePredictionTask, split: str
) -> Iterator[Classification]:
    """What a classifier says of every text of a split, one by one, with the sentences that it depends on.

    Args:
        model, task: from :func:`fairseq_littlebird.pipelines.loading.load_trained`.
        split: the split's name.
    Raises:
        UserError: the split is missing or truncated.
    """
    dataset = task.load_dataset(split)
    folder = folder_of(task.cfg.data)
    known = vocabulary(task.source_dictionary, folder / "input0")
    spell = _speller(folder / "input0")
    path = folder / "id" / split
    ids = MappedItems(path) if path.parent.is_dir() else None
    device = next(model.parameters()).device
    for index in range(len(dataset)):
        batch = dataset.collater([dataset[index]])
        if device.type == "cuda":
            batch = utils.move_to_cuda(batch, device)
        name = str(index) if ids is None else ids[index].tobytes().decode()
        with torch.inference_mode():
            outputs = class_outputs(model, task, batch["net_input"])[0].tolist()
        found = classification_of(task, name, outputs)
        yield replace(found, attribution=attribution(model, task, batch["net_input"], found, known, spell))


def attribution(
    model: EncoderModel,
    task: LittleBirdSentencePredictionTask,
    net_input: dict[str, Any],
    found: Classification,
    known: Vocabulary,
    spell: Callable[[list[str]], str],
) -> TextAttribution:
    """The parts of one text and their gradient × input (Shrikumar et al., 2016), with the token embeddings as input.

    The output is the log odds of the most probable label, or the score.

    Args:
        model: in evaluation mode.
        task: its task.
        net_input: of a batch of one text.
        found: what the model says of it.
        known: the vocabulary, the dictionary's.
        spell: makes text of the dictionary's symbols.
    """
    symbols = task.source_dictionary.symbols
    tokens = net_input["src_tokens"][0].cpu().numpy()
    regression = task.cfg.problem_type == REGRESSION
    output = SCORE if regression else found.label
    number = 0 if regression else task.labels.index(output)
    value, embeddings, gradient = gradients(model, task, net_input, number)
    products = (gradient.double() * embeddings.double()).reshape(len(tokens), -1)
    weights = products.sum(-1).cpu().numpy()
    special = known.special[tokens]
    bounds = part_bounds(known.sentence_end(SENTENCE_ENDS)[tokens], special)
    parts = [
        AttributedPart(
            "" if special[start] else spell([symbols[token] for token in tokens[start:stop]]).strip() or "…",
            float(weights[start:stop].sum()),
            stop - start,
        )
        for start, stop in bounds
    ]
    total = float(torch.dot(gradient.double().flatten(), embeddings.double().flatten()))
    return TextAttribution(output, value, total, tuple(parts), _second(tokens, bounds, task))


def _speller(folder: Path) -> Callable[[list[str]], str]:
    """What makes text of symbols: the folder's tokenizer; without one they are joined by spaces."""
    try:
        return load_tokenizer(folder, folder / "dict.txt").decode
    except UserError:
        return " ".join


def gradients(
    model: EncoderModel, task: LittleBirdSentencePredictionTask, net_input: dict[str, Any], number: int
) -> tuple[float, Tensor, Tensor]:
    """An output of a text, the token embeddings, and its gradient by them, both <float>[L, E].

    Args:
        model, task, net_input: as :func:`attribution`'s.
        number: of the output: its log odds against all others, or with one output itself, on the scale of the scores.
    Raises:
        UserError: the model is quantized, which has no gradients.
    """
    held: list[Tensor] = []

    def hold(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
        held.append(output.detach().requires_grad_())
        return held[-1]

    hook = model.encoder.embeddings.tokens.register_forward_hook(hold)
    try:
        with torch.enable_grad():
            head = task.cfg.classification_head_name
            logits, _ = model(**net_input, features_only=True, classification_head_name=head)
            value = _value(logits[0].double(), task, number)
            if not value.requires_grad:
                raise UserError("a quantized model has no gradients", "--precision int8", "choose another with --html")
            (gradient,) = torch.autograd.grad(value, held[:1])
    finally:
        hook.remove()
    return float(value.detach()), held[0].detach(), gradient


def _value(logits: Tensor, task: LittleBirdSentencePredictionTask, number: int) -> Tensor:
    """What is explained of <float64>[K]."""
    if task.cfg.problem_type == REGRESSION:
        low, high = task.score_range or (0.0, 1.0)
        return low + logits[number] * (high - low)
    if task.cfg.problem_type == MULTI_LABEL or len(logits) == 1:
        return logits[number]
    others = torch.cat([logits[:number], logits[number + 1 :]])
    return logits[number] - others.logsumexp(0)


def _second(tokens: np.ndarray, bounds: list[tuple[int, int]], task: LittleBirdSentencePredictionTask) -> int | None:
    """The part that the second text of a pair begins with: behind its separator."""
    separator, end = task.cfg.separator_token, task.source_dictionary.eos()
    if not (Path(folder_of(task.cfg.data)) / "input1").is_dir():
        return None
    first_end = int(np.flatnonzero(tokens == end)[0])
    start = first_end + 1 + int(separator is not None)
    return next((number for number, (first, _) in enumerate(bounds) if first >= start), None)

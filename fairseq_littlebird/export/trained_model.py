"""A checkpoint of LittleBird as a model of transformers, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairseq_littlebird.checkpoints.older_versions import refuse_older
from fairseq_littlebird.checkpoints.tensors import load_tensors
from fairseq_littlebird.conversion.littlebird import LITTLEBIRD
from fairseq_littlebird.conversion.parameters import LM_HEAD, POSITIONS, SPAN_HEAD, TOKENS
from fairseq_littlebird.data.classification_metadata import ClassificationMetadata, read_metadata
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.model_folder import (
    QUESTIONS,
    TrainedSettings,
    model_folder,
    model_tokenizer,
    trained_settings,
)
from fairseq_littlebird.datasets import DATASETS, PLAIN
from fairseq_littlebird.errors import UserError, first_line
from fairseq_littlebird.export.fast_tokenizer import MASK, FastTokenizer, fast_tokenizer
from fairseq_littlebird.formats.problem_type import REGRESSION
from fairseq_littlebird.heads.span_selection import SPAN_HEADS
from fairseq_littlebird.modules.size_names import LITTLEBIRD_SIZE_NAMES
from fairseq_littlebird.text.answer_spec import AnswerSpec
from fairseq_littlebird.text.tokenizers import QUESTION, UNKNOWN

CLASSIFICATION_HEADS = "classification_heads"
BIAS = f"{LM_HEAD}bias"
UNLIKELY = -1e4  # logit of a token that the dictionary lacks; half precision can hold it
SIZES = {
    name.fairseq: name.hugging_face
    for name in LITTLEBIRD_SIZE_NAMES
    if name.fairseq and name.hugging_face and name.config not in ("max_positions", "attention_backend")
}
"""The model's options, and what the configuration calls them; positions are counted, the backend is the user's."""
EXPORTED = ("encoder", "lm_head", "span_head")


@dataclass(frozen=True)
class TrainedModel:
    """What an export is made of.

    Args:
        model: one of :mod:`fairseq_littlebird.export.modeling_littlebird`, in evaluation mode.
        tokenizer: whose ids it takes.
        dataset: the name of the data set it was fine-tuned on, or nothing.
        left_out: heads of the checkpoint that the model has no place for.
    """

    model: Any
    tokenizer: FastTokenizer
    dataset: str
    left_out: list[str]


def trained_model(
    path: str | Path, tokenizer: str | Path | None = None, max_answer_length: int | None = None
) -> TrainedModel:
    """Reads a checkpoint, its dictionary and its tokenizer.

    Args:
        path: a checkpoint, or a folder with one; see :func:`model_folder`.
        tokenizer: file or folder; None takes the checkpoint's, or what lies beside it.
        max_answer_length: in tokens; None takes that of the training.
    Raises:
        UserError: nothing there, a damaged checkpoint, another model than LittleBird, a head or a tokenizer that
            transformers does not have, or transformers is missing.
    """
    try:
        from fairseq_littlebird.export import modeling_littlebird as models
    except ImportError as error:
        raise UserError(
            f"exporting needs transformers ({first_line(error)})", remedy="pip install fairseq_littlebird[export]"
        ) from error
    with model_folder(path, tokenizer, classifiers=True) as (checkpoint, folder, task):
        content, where = load_tensors(checkpoint), str(checkpoint)
        options, weights = _options(content, where), content["model"]
        heads = {key.split(".")[0] for key in weights}
        if task == QUESTIONS and "span_head" not in heads:
            raise UserError("no span head in a checkpoint of --task question_answering", where, "train it again")
        own = model_tokenizer(folder, tokenizer, where, "add --tokenizer FILE or FOLDER")
        symbols = _symbols(folder, len(weights[TOKENS]), where)
        classifier = (folder / "label").is_dir()
        fast = fast_tokenizer(own, symbols, questions=not classifier)
        metadata = read_metadata(folder) if (folder / "label").is_dir() else None
        trained = TrainedSettings("") if metadata else trained_settings(folder, where) or TrainedSettings("")
    weights = _reordered(weights, fast.dictionary_ids, symbols.index(UNKNOWN))
    spec = DATASETS.get(trained.dataset, DATASETS[PLAIN])
    longest = max_answer_length or trained.max_answer_length or spec.max_answer_length
    config = _config(options, weights, fast, spec, longest)
    model: Any = models.LittleBirdModel
    kind = ""
    if "span_head" in heads:
        model, kind = models.LittleBirdForQuestionAnswering, _span_head(weights, config.hidden_size, where)
    elif metadata is not None:
        model = _classifier()
        _name_outputs(config, metadata)
        weights = _one_head(weights, options, where)
    elif "lm_head" in heads:
        model = models.LittleBirdForMaskedLM
    config.span_head = kind
    config.architectures = [model.__name__]
    built = model(config).eval()
    kept = {key: value for key, value in weights.items() if key.split(".")[0] in EXPORTED}
    head = {key: value for key, value in weights.items() if key.startswith("classifier.")}
    try:
        theirs = LITTLEBIRD.from_ours(kept)
        if metadata is not None:
            theirs = {f"{LITTLEBIRD.prefix}{key}": value for key, value in theirs.items()} | head
        built.load_state_dict(theirs)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(
            f"the weights do not fit the model they came with ({reason})", where, "train it again"
        ) from error
    there = {*EXPORTED} | ({CLASSIFICATION_HEADS} if metadata else set())
    return TrainedModel(built, fast, trained.dataset, sorted(heads - there))


def _classifier() -> Any:
    from fairseq_littlebird.export.modeling_littlebird_classification import LittleBirdForSequenceClassification

    return LittleBirdForSequenceClassification


def _name_outputs(config: Any, metadata: ClassificationMetadata) -> None:
    """The outputs' names and the problem type, as transformers has them."""
    config.id2label = dict(enumerate(metadata.outputs))
    config.label2id = {name: number for number, name in enumerate(metadata.outputs)}
    config.problem_type = f"{metadata.problem_type}_classification"
    if metadata.problem_type == REGRESSION:
        config.problem_type = REGRESSION
        config.score_range = list(metadata.score_range or (0.0, 1.0))


def _one_head(weights: dict[str, Tensor], options: dict[str, Any], where: str) -> dict[str, Tensor]:
    """The weights with the only classification head under the name that the exported model has for it."""
    names = {key.split(".")[1] for key in weights if key.startswith(f"{CLASSIFICATION_HEADS}.")}
    if len(names) != 1:
        raise UserError(f"{len(names)} classification heads", where, "give a checkpoint with one")
    prefix = f"{CLASSIFICATION_HEADS}.{names.pop()}."
    inner = len(weights[f"{prefix}dense.weight"])
    if inner != weights[f"{prefix}dense.weight"].shape[1]:
        raise UserError("a classification head of another width than the encoder's", where, "train it again")
    return {
        key.replace(prefix, "classifier.") if key.startswith(prefix) else key: value for key, value in weights.items()
    }


def _options(content: dict[str, Any], where: str) -> dict[str, Any]:
    """The model's options in a checkpoint of LittleBird."""
    options = content.get("cfg", {}).get("model") if isinstance(content.get("cfg"), dict) else None
    name = str(options.get("_name")) if isinstance(options, dict) else "littlebird"
    if name.split("_")[0] != "littlebird":
        raise UserError(f"a model of {name}, and only LittleBird can be exported", where, "give a littlebird_* model")
    refuse_older(content.get("model") or {}, where)
    if not isinstance(options, dict) or TOKENS not in (content.get("model") or {}):
        raise UserError("not a checkpoint of this plugin", where, "give one that fairseq-train saved")
    return options


def _symbols(folder: Path, count: int, where: str) -> list[str]:
    """The tokens of the model's embeddings."""
    symbols: list[str] = load_dictionary(folder).symbols
    if count == len(symbols) - 1 and symbols[-1] == QUESTION:  # fairseq's own tasks know no questions
        return symbols[:-1]
    if count != len(symbols):
        raise UserError(
            f"{count} tokens in the model, {len(symbols)} in its dict.txt", where, "give it its own dict.txt"
        )
    return symbols


def _config(
    options: dict[str, Any], weights: dict[str, Tensor], fast: FastTokenizer, spec: AnswerSpec, longest: int
) -> Any:
    from fairseq_littlebird.export.configuration_littlebird import LittleBirdConfig

    sizes = {theirs: options[ours] for ours, theirs in SIZES.items() if ours in options}
    positions = weights.get(POSITIONS)
    return LittleBirdConfig(
        len(weights[TOKENS]),
        **sizes,
        window=not options.get("no_window", False),
        max_position_embeddings=None if positions is None else len(positions),
        question_token_id=fast.ids[QUESTION],
        max_answer_length=longest,
        max_answer_words=spec.max_answer_words,
        null_answer=not spec.noisy,
        pad_token_id=fast.ids["<pad>"],
        bos_token_id=fast.ids["<s>"],
        eos_token_id=fast.ids["</s>"],
        cls_token_id=fast.ids["<s>"],
        sep_token_id=fast.ids["</s>"],
        mask_token_id=fast.ids[MASK],
    )


def _reordered(weights: dict[str, Tensor], dictionary_ids: list[int | None], unknown: int) -> dict[str, Tensor]:
    """Embeddings and biases in the order of the tokenizer's ids; those that the dictionary lacks are <unk>."""
    index = torch.tensor([unknown if number is None else number for number in dictionary_ids])
    weights = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    weights[TOKENS] = weights[TOKENS][index]
    if BIAS in weights:
        weights[BIAS] = weights[BIAS][index]
        weights[BIAS][[n for n, number in enumerate(dictionary_ids) if number is None]] = UNLIKELY
    return weights


def _span_head(weights: dict[str, Tensor], width: int, where: str) -> str:
    keys = {key.removeprefix(SPAN_HEAD) for key in weights if key.startswith(SPAN_HEAD)}
    for kind, head in SPAN_HEADS.items():
        if keys == {*head(width).state_dict()}:
            return kind
    raise UserError("a span head of another kind", where, f"give a model with one of {', '.join(SPAN_HEADS)}")

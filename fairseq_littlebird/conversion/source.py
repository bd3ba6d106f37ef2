"""A pretrained encoder as the adapters of all formats return it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as short
from typing import Any

from torch import Tensor

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.config import FullAttentionConfig


@dataclass(frozen=True)
class Source:
    """A Transformer encoder, its tokens still in the source's order.

    Args:
        kind: the format, as reports name it.
        path: the file or folder it was read from.
        config: its sizes; ``vocab_size`` counts the rows of the source's embedding.
        state: parameters under our names, float32; with a masked-language-model or a span head, or without.
        folder: where its tokenizer is.
        dictionary: the content of the dict.txt whose order the rows have; None: they have the tokenizer's.
        keys: how many keys the source has.
        dropped: keys left out on purpose.
        notes: what else was done to the parameters, a sentence each.
        model: what it is here, a name of fairseq's registry.
        options: of that model, where the source fixes them; ``attention_window`` as one number a layer.
        span_head: the kind of its span head, one of ``SPAN_HEADS``, or nothing.
    """

    kind: str
    path: Path
    config: FullAttentionConfig
    state: dict[str, Tensor]
    folder: Path
    dictionary: bytes | None
    keys: int
    dropped: list[str]
    notes: list[str] = field(default_factory=list)
    model: str = "full_attention"
    options: Mapping[str, Any] = field(default_factory=dict)
    span_head: str = ""

    @property
    def has_head(self) -> bool:
        """Whether there is a masked-language-model head."""
        return "lm_head.bias" in self.state


def float32(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters in float32, whatever they were saved in; integer buffers as they are."""
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def parameters(content: Any, where: str) -> dict[str, Tensor]:
    """The content itself, where it is a dictionary of tensors.

    Raises:
        UserError: it is something else.
    """
    if not isinstance(content, dict) or not content:
        raise UserError("no dictionary of parameters", where, "save the model's state_dict")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise UserError(f"{short(key)} is {type(value).__name__}, no parameter", where, "save the model again")
    return content


def sizes(where: str, state: Mapping[str, Tensor], **values: Any) -> FullAttentionConfig:
    """The encoder's sizes.

    Raises:
        UserError: they do not fit together, or not the parameters.
    """
    eps, layers = values["layer_norm_eps"], values["layers"]
    if not isinstance(eps, (int, float)) or not 0 <= eps < 1:
        raise UserError(f"layer_norm_eps is {short(eps)}", where, "give a small number")
    if layers > len(state):
        raise UserError(f"{layers} layers, but {len(state)} parameters", where, "save the whole model again")
    try:
        return FullAttentionConfig(**values | {"layer_norm_eps": float(eps)})
    except ValueError as error:
        raise UserError(str(error), where, "take a source whose heads divide its width") from error

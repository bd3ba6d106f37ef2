"""What the families of transformers share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any

from fairseq_littlebird.conversion.adapter import Adapter
from fairseq_littlebird.conversion.key_map import KeyMap, State, linear
from fairseq_littlebird.conversion.parameters import POSITIONS, QA, TOKEN_TYPES, TOKENS
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.config import EncoderConfig, FullAttentionConfig

ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"}
"""Their names of what the encoders here have."""

ENCODER: KeyMap = {
    "embeddings.word_embeddings.weight": TOKENS,
    "embeddings.position_embeddings.weight": POSITIONS,
    "embeddings.token_type_embeddings.weight": TOKEN_TYPES,
    "embeddings.position_ids": None,
    "embeddings.token_type_ids": None,
    **linear("embeddings.LayerNorm", "encoder.embeddings.norm"),
    **linear("embeddings_project", "encoder.embeddings.projection"),
    **linear("encoder.layer.{n}.attention.self.query", "encoder.layers.{n}.attention.q"),
    **linear("encoder.layer.{n}.attention.self.key", "encoder.layers.{n}.attention.k"),
    **linear("encoder.layer.{n}.attention.self.value", "encoder.layers.{n}.attention.v"),
    **linear("encoder.layer.{n}.attention.output.dense", "encoder.layers.{n}.attention.out"),
    **linear("encoder.layer.{n}.attention.output.LayerNorm", "encoder.layers.{n}.attention_norm"),
    **linear("encoder.layer.{n}.intermediate.dense", "encoder.layers.{n}.ffn.fc1"),
    **linear("encoder.layer.{n}.output.dense", "encoder.layers.{n}.ffn.fc2"),
    **linear("encoder.layer.{n}.output.LayerNorm", "encoder.layers.{n}.ffn_norm"),
    "pooler.{key}": None,
}
SPAN_HEAD_MAP: KeyMap = linear("qa_outputs", QA)


@dataclass(frozen=True)
class HuggingFaceAdapter(Adapter):
    """A family by its ``model_type``.

    Args:
        activations: values of ``hidden_act`` that are supported; the first is that of a configuration without one.
        positions_after_padding: position embeddings count on from the padding's number.
        context_type: question and context have token types of their own.
        model: what it is here, a name of fairseq's registry.
    """

    activations: tuple[str, ...] = ("gelu",)
    positions_after_padding: bool = False
    context_type: bool = False
    model: str = "full_attention"

    def table_key(self, key: str) -> str:
        """Old files call a layer norm's weight gamma and its bias beta."""
        key = key.removeprefix(self.prefix)
        names = {"gamma": "weight", "beta": "bias"}
        return re.sub(r"LayerNorm\.(gamma|beta)$", lambda match: f"LayerNorm.{names[match[1]]}", key)

    def settings(self, config: Mapping[str, Any], where: str) -> dict[str, Any]:
        """A configuration under the names and values that BERT's has.

        Args:
            config: the content of config.json.
            where: its path, for messages.
        Raises:
            UserError: a setting that the encoders here lack.
        """
        return dict(config)

    def sizes(self, config: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Sizes and switches beyond BERT's, by the names of ``FullAttentionConfig``."""
        return {}

    def complete(self, state: State, config: FullAttentionConfig, settings: Mapping[str, Any]) -> None:
        """Adds parameters that the source does without and that are 0 here; changes the state in place."""

    def options(self, config: Mapping[str, Any], layers: int, where: str) -> dict[str, Any]:
        """The options of the model here that a configuration fixes.

        Args:
            config: the content of config.json.
            layers: how many there are.
            where: its path, for messages.
        Raises:
            UserError: a setting of another kind.
        """
        return {}

    def span_head_kind(self, config: EncoderConfig, where: str) -> str:
        """Which of ``SPAN_HEADS`` its question-answering head is.

        Raises:
            UserError: it has other sizes than ours.
        """
        return "independent"


def whole_number(config: Mapping[str, Any], name: str, where: str) -> int:
    """A setting that has to be one.

    Raises:
        UserError: it is none.
    """
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{name} is {short(value)}, not a whole number", where, "copy config.json again")
    return value

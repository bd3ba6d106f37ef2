"""A family's parameters to ours and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from fairseq_littlebird.conversion.key_map import (
    KeyMap,
    State,
    apply_key_map,
    rename,
    reverse_key_map,
    without_place,
)
from fairseq_littlebird.conversion.parameters import LM_HEAD, SPAN_HEAD
from fairseq_littlebird.errors import UserError


@dataclass(frozen=True)
class Adapter:
    """One table for both directions.

    Args:
        title: the format, in messages.
        encoder: its key map for the encoder, and for what is dropped; for the prefix see below.
        lm_head, span_head: those for its heads.
        prefix: what the encoder's keys begin with in a model with a head; without one they have none.
    """

    title: str
    encoder: KeyMap
    lm_head: KeyMap = field(default_factory=dict)
    span_head: KeyMap = field(default_factory=dict)
    prefix: str = ""

    @property
    def key_map(self) -> KeyMap:
        return {**self.encoder, **self.lm_head, **self.span_head}

    def table_key(self, key: str) -> str:
        """How the table spells a key of the family: without prefix, in its newest spelling."""
        return key.removeprefix(self.prefix)

    def to_ours(self, state: Mapping[str, Tensor], where: str) -> tuple[State, list[str]]:
        """The family's parameters under our names, and the keys that were dropped.

        Args:
            state: a model's parameters, in any spelling that its family has had.
            where: its path, for messages.
        Raises:
            UserError: a key that the table does not know, or weights that are tied here and differ there.
        """
        return apply_key_map(rename(state, self.table_key, where), self.key_map, where)

    def from_ours(self, state: Mapping[str, Tensor]) -> State:
        """Our parameters under the family's names, with its prefix if there is a head.

        Tied weights share their memory, as in the ``state_dict`` of a module.

        Raises:
            UserError: parameters that the family has no place for.
        """
        lost = without_place(state, self.key_map)
        if lost:
            raise UserError(f"{self.title} has no place for {', '.join(sorted(lost))}", remedy="leave them out")
        heads = {LM_HEAD: self.lm_head, SPAN_HEAD: self.span_head}
        present = [key_map for start, key_map in heads.items() if any(key.startswith(start) for key in state)]
        prefix = self.prefix if present else ""
        theirs = {prefix + key: value for key, value in reverse_key_map(state, self.encoder).items()}
        for key_map in present:
            theirs |= reverse_key_map(state, key_map)
        return theirs

"""Tasks whose criterion cannot be fairseq's default."""

from __future__ import annotations

from typing import Any

from fairseq_littlebird.errors import UserError


class OwnCriterion:
    """A mixin for a task that has a criterion of its own name."""

    cfg: Any

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Raises UserError where it is fairseq's default, which is what a forgotten option gives."""
        if cfg._name == "cross_entropy":
            own = self.cfg._name
            raise UserError(f"cross_entropy is not a criterion for --task {own}", remedy=f"give --criterion {own}")
        return super().build_criterion(cfg, from_checkpoint)  # type: ignore[misc]

"""Tasks whose criterion cannot be fairseq's default."""

from __future__ import annotations

from typing import Any

from fairseq_littlebird.errors import UserError


class OwnCriterion:
    """A mixin for a task that has a criterion of its own name."""

    cfg: Any
    own_criterion = ""
    """Its name, where it is not the task's."""

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Raises UserError where it is fairseq's default, which is what a forgotten option gives."""
        if cfg._name == "cross_entropy":
            task = self.cfg._name
            remedy = f"give --criterion {self.own_criterion or task}"
            raise UserError(f"cross_entropy is not a criterion for --task {task}", remedy=remedy)
        return super().build_criterion(cfg, from_checkpoint)  # type: ignore[misc]

"""Whether a split is trained or evaluated on: as it is loaded, whatever its name."""

from __future__ import annotations

from typing import Any

from fairseq_littlebird.errors import UserError


class SplitUse:
    """A mixin for a task, which defines :meth:`load_split`. One split may be trained and evaluated on at once."""

    cfg: Any
    datasets: dict[str, Any]
    _loaded: dict[tuple[str, bool], Any]

    def load_split(self, split: str, epoch: int, combine: bool, training: bool) -> None:
        """Puts a split into ``datasets``."""
        raise NotImplementedError

    def load_dataset(
        self, split: str, epoch: int = 1, combine: bool = False, training: bool | None = None, **kwargs: Any
    ) -> Any:
        """The dataset of a split, for ``dataset()`` and ``get_batch_iterator()`` too.

        Args:
            training: None takes it for what fairseq's trainer trains on if a ``data_selector`` is named, as it alone
                does (None or not).
        """
        if training is None:
            training = "data_selector" in kwargs
        self.load_split(split, epoch, combine, training)
        loaded = self.__dict__.setdefault("_loaded", {})
        loaded[split, training] = built = self.datasets[split]
        self.datasets[split] = loaded.get((split, False), built)
        return built

    def get_batch_iterator(self, dataset: Any, *arguments: Any, **options: Any) -> Any:
        if "grouped_shuffling" in options:  # so does the trainer ask for what it trains on
            loaded = self.__dict__.get("_loaded", {})
            for (split, training), evaluated in loaded.items():
                if not training and evaluated is dataset:
                    dataset = loaded.get((split, True), dataset)
        iterator = super().get_batch_iterator(dataset, *arguments, **options)  # type: ignore[misc]
        if not len(getattr(iterator, "frozen_batches", "?")):
            what = f"all {len(dataset):,} items of a split are longer" if len(dataset) else "no item in a split"
            where = "--max-positions, --max-tokens" if len(dataset) else self.cfg.data
            raise UserError(what, where, "raise the limit, or prepare shorter items" if len(dataset) else "give data")
        return iterator

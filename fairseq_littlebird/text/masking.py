"""Which tokens masked language modelling hides, and by what."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Masking:
    """BERT's: of the tokens to predict most are hidden, some are replaced by a random one, some stay.

    Args:
        mask_id: id of <mask>.
        replacements: int[R], what a random token may be.
        probability: of a token to be predicted.
        kept, random: of those, the shares that stay and that are replaced.
    """

    mask_id: int
    replacements: np.ndarray = field(repr=False)
    probability: float = 0.15
    kept: float = 0.1
    random: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1:
            raise ValueError(f"a share of {self.probability} masked tokens is not above 0 and at most 1")
        if self.kept < 0 or self.random < 0 or self.kept + self.random > 1:
            raise ValueError(f"shares of {self.kept} kept and {self.random} random tokens are not within 0 and 1")

    def __call__(
        self, tokens: np.ndarray, maskable: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Args:
            tokens: int[L].
            maskable: bool[L], at least one; the tokens that may be predicted.
            rng: draws them.
        Returns:
            the tokens that the model reads, int[L]; and which it predicts, bool[L]: always the same number, at least 1,
            of as many maskable ones, up to a fraction that is rounded at random.
        """
        places = np.flatnonzero(maskable)
        count = max(1, int(self.probability * len(places) + rng.random()))
        chosen = rng.permutation(places)[:count]
        fate = rng.random(len(chosen))
        replaced = rng.choice(self.replacements, size=len(chosen))
        masked, predicted = tokens.copy(), np.zeros(len(tokens), dtype=bool)
        masked[chosen] = np.where(
            fate < self.kept, tokens[chosen], np.where(fate < self.kept + self.random, replaced, self.mask_id)
        )
        predicted[chosen] = True
        return masked, predicted

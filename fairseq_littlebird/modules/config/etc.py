"""What fixes the shape of a BigBird-ETC encoder."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_littlebird.modules.config.encoder import EncoderConfig


@dataclass(frozen=True)
class ETCConfig(EncoderConfig):
    """BigBird-ETC; the defaults are its base size (table 8 of Zaheer et al., 2020).

    Args:
        global_tokens: G, at least 2: one stands for what is outside of any segment.
        local_radius: r, the table's block length b (169 for the large size): a long token sees those at most so far
            away. They lie in the 3b tokens of its own block and its neighbours, which the table calls the window.
        max_distance: k, from which on distances have one label.
        global_kinds: kinds of global tokens, an embedding each; more than one for structured input, which has labels
            of its own.
        focused_kinds: of these so many, the last ones, see no other long tokens than their own (ETC's hard masks).
    """

    global_tokens: int = 256
    local_radius: int = 84
    max_distance: int = 12
    global_kinds: int = 1
    focused_kinds: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.global_tokens < 2:
            raise ValueError(f"{self.global_tokens} global tokens are less than 2")
        if self.local_radius < 1:
            raise ValueError(f"local radius {self.local_radius} is not positive")
        if self.max_distance < 1:
            raise ValueError(f"largest distance {self.max_distance} is not positive")

    @property
    def is_structured(self) -> bool:
        """Whether the task may say which global tokens there are."""
        return self.global_kinds > 1

    @property
    def has_positions(self) -> bool:
        return False

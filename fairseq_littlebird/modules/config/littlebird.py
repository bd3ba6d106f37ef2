"""What fixes the shape of a LittleBird encoder."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_littlebird.modules.config.formed_encoder import FormedEncoderConfig

POSITIONS = ("bialibi", "learned", "none")


@dataclass(frozen=True)
class LittleBirdConfig(FormedEncoderConfig):
    """LittleBird.

    Args:
        pack_size: S, pack vectors; 0 leaves out the pack stream (table 3).
        block_size: b, tokens a block.
        positions: ``bialibi``; or, for ablation (table 8), ``learned`` (absolute, up to max_positions), ``none``.
        window: False leaves X-to-X attention out of the unpack step (table 8).
        attention_backend: see :func:`unpack_window_attention`.
    """

    pack_size: int = 64
    block_size: int = 64
    positions: str = "bialibi"
    window: bool = True
    attention_backend: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pack_size < 0:
            raise ValueError(f"pack size {self.pack_size} is negative; 0 turns the pack stream off")
        if self.block_size < 1:
            raise ValueError(f"block size {self.block_size} is not positive")
        if self.positions not in POSITIONS:
            raise ValueError(f"positions {self.positions!r} is not one of {', '.join(POSITIONS)}")
        if not self.window and not self.pack_size:
            raise ValueError("without the window a pack size of 0 leaves nothing to attend to")

    @property
    def has_positions(self) -> bool:
        return self.positions == "learned"

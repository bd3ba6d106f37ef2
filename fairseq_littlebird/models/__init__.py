"""fairseq models; importing this package registers them."""

from fairseq_littlebird.models.littlebird import LittleBirdModel, LittleBirdModelConfig

__all__ = ["LittleBirdModel", "LittleBirdModelConfig"]

"""fairseq optimizers; importing this package registers them."""

from fairseq_littlebird.optimizers.littlebird_adam import LittleBirdAdam
from fairseq_littlebird.registration import register

__all__ = ["LittleBirdAdam"]

register()

"""fairseq optimizers; importing this package registers them."""

from fairseq_littlebird.registration import register

register()  # whichever package is imported first, all are registered

from fairseq_littlebird.optimizers.littlebird_adam import LittleBirdAdam

__all__ = ["LittleBirdAdam"]

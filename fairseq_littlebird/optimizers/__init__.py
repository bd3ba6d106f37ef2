"""fairseq optimizers; importing this package registers them."""

import fairseq_littlebird.registration  # noqa: F401
from fairseq_littlebird.optimizers.littlebird_adam import LittleBirdAdam

__all__ = ["LittleBirdAdam"]

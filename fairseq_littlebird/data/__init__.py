"""fairseq datasets: binarized text and prepared questions to batches."""

import fairseq_littlebird.registration  # noqa: F401

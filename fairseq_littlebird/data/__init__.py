"""fairseq datasets: binarized text and prepared questions to batches."""

from fairseq_littlebird.registration import register

register()  # before anything imports fairseq, some of whose modules set up the root logger

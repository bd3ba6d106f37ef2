"""A trained model over a split, or over texts in memory; ``LittleBird`` is the face of all."""

from fairseq_littlebird.registration import register

register()  # before anything imports fairseq, some of whose modules set up the root logger

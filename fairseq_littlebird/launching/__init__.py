"""Several workers: who they are, what stops them, and where they go on."""

from fairseq_littlebird.registration import register

register()  # before anything imports fairseq, some of whose modules set up the root logger

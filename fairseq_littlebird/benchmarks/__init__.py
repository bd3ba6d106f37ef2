"""Time and memory, side by side with what a user would otherwise pick, and beside the machine's own limit."""

from fairseq_littlebird.registration import register

register()  # before anything imports fairseq, some of whose modules set up the root logger

"""The console commands: arguments in, one line out when they are wrong."""

from fairseq_littlebird.errors import one_line_errors

one_line_errors()  # before a command imports all that takes time to import

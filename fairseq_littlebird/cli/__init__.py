"""The console commands: arguments in, one line out when they are wrong."""

import os

from fairseq_littlebird.errors import one_line_errors

one_line_errors()  # before a command imports all that takes time to import

# Threads of libgomp that spin while they wait take the core from those they wait for, if other processes run beside;
# libgomp reads this when PyTorch loads it.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

"""What fairseq must know: our components, and which types its checkpoints may hold."""

import argparse
import atexit
import logging

import torch

logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)  # asks every reader for tensorboardX
root = logging.getLogger()
before = root.level, root.handlers[:]

from fairseq_littlebird import criterions, models, optimizers, tasks  # noqa: E402, F401

# some of fairseq's modules set up the root logger when imported (wav2vec at DEBUG); a program's own settings stay
root.setLevel(before[0])
root.handlers[:] = before[1]

from fairseq_littlebird.data.reading_ahead import end_reading  # noqa: E402

# some of fairseq's optimizers and schedules put a Namespace into the checkpoint; safe loading must know it
torch.serialization.add_safe_globals([argparse.Namespace])
atexit.register(end_reading)

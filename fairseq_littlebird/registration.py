"""What fairseq must know: our components, and which types its checkpoints may hold."""

from __future__ import annotations

import argparse
import atexit
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fairseq_littlebird.errors import one_line_errors

_REGISTERED: list[bool] = []


def register() -> None:
    """Registers tasks, criterions, models and optimizers with fairseq; once is enough, more do nothing.

    fairseq's ``--user-dir`` and the commands of this package call it, as does importing ``LittleBird`` or any of the
    registered classes. A program that uses fairseq's own functions with this package calls it first, and so does a
    plugin that builds on this one.

    Beside the components it allows ``argparse.Namespace`` in checkpoints, which some of fairseq's optimizers and
    schedules put there, ends fairseq's prefetching threads when the interpreter ends, and makes errors in the user's
    input one line in ``fairseq-…`` commands.
    """
    if _REGISTERED:
        return
    _REGISTERED.append(True)
    one_line_errors()
    with _root_logger_kept():
        # each package calls this function, too: importing one class of it registers all
        from fairseq_littlebird import criterions, models, optimizers, tasks  # noqa: F401
        from fairseq_littlebird.data.prefetch_shutdown import stop_prefetching

    import torch

    from fairseq_littlebird.models.worker_check import check_spawning

    check_spawning(sys.argv, os.environ, torch.cuda.device_count())
    torch.serialization.add_safe_globals([argparse.Namespace])
    atexit.register(stop_prefetching)


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Some of fairseq's modules set up the root logger when imported (wav2vec at DEBUG); a program's settings stay."""
    logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)  # it reports a missing tensorboardX
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    try:
        yield
    finally:
        root.setLevel(before[0])
        root.handlers[:] = before[1]

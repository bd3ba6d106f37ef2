"""fairseq-train in one of ``PRECISIONS``, on a CPU too: ``in_precision.py PRECISION ARGUMENTS``.

What fairseq asks of CUDA by its name it gets of the CPU where there is no device: autocast to float16, the scaler of
--amp, and the move of one number that stands behind every overflow. On a device nothing is put in place of anything.
"""

from __future__ import annotations

import functools
import logging
import sys

import torch
from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.distributed import utils as distributed
from fairseq_cli.train import main

PRECISIONS = ("fp32", "bf16", "fp16", "amp")


def run(precision: str, *words: str) -> None:
    logging.basicConfig(level="INFO", stream=sys.stdout, format="| %(name)s | %(message)s", force=True)
    parser = options.get_training_parser()
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, list(words)))
    if not torch.cuda.is_available():
        torch.cuda.amp.autocast = functools.partial(torch.autocast, "cpu", torch.float16)
        torch.cuda.amp.GradScaler = functools.partial(torch.amp.GradScaler, "cpu")
        torch.Tensor.cuda = lambda tensor, *where, **how: tensor
        cfg.common.fp16_no_flatten_grads = True
    cfg.common.cpu = not torch.cuda.is_available()
    cfg.common.bf16, cfg.common.fp16, cfg.common.amp = (precision == name for name in PRECISIONS[1:])
    distributed.call_main(cfg, main)


if __name__ == "__main__":
    run(*sys.argv[1:])

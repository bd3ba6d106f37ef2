"""Peak memory of distillation by length, beside the student's own training at 512 tokens.

    python distillation_memory.py [--lengths 512 1024 2048] [--batch 1] [--layers 6 --width 384 --heads 12]

Two updates of masked language modelling with Adam in float32, random weights; the teacher has positions for every
length. Memory is the process's peak beyond what it has after its imports, each case in a process of its own.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from fairseq.criterions.masked_lm import MaskedLmConfig, MaskedLmLoss
from fairseq.data import Dictionary
from fairseq.optim.adam import Adam
from fairseq.tasks.masked_lm import MaskedLMTask
from omegaconf import OmegaConf

from fairseq_littlebird.criterions.littlebird_distillation import (
    LittleBirdDistillationCriterion,
    LittleBirdDistillationCriterionConfig,
)
from fairseq_littlebird.models.full_attention import FullAttentionModel, FullAttentionModelConfig
from fairseq_littlebird.models.littlebird import LittleBirdModel, LittleBirdModelConfig

CASES = ("training", "attention", "distillation")


def masked_lm_task(words: int) -> MaskedLMTask:
    dictionary = Dictionary()
    for n in range(words - len(dictionary) - 1):  # the task adds <mask>
        dictionary.add_symbol(f"w{n}")
    return MaskedLMTask(SimpleNamespace(seed=1), dictionary)


def save_teacher(path: str, sizes: dict[str, int], length: int, task: MaskedLMTask) -> None:
    """As fairseq's checkpoints."""
    cfg = FullAttentionModelConfig(**sizes, max_positions=length)
    plain = OmegaConf.structured(cfg)
    model = FullAttentionModel.build_model(plain, task)
    history = {"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 0}
    state = {
        "cfg": {"model": OmegaConf.to_container(plain, enum_to_str=True) | {"_name": "full_attention"}, "task": {}},
        "args": None,
        "model": model.state_dict(),
        "optimizer_history": [history],
        "extra_state": {"train_iterator": {"epoch": 1}},
    }
    torch.save(state, path)


def run(case: str, length: int, batch: int, sizes: dict[str, int], words: int, teacher: str) -> None:
    """Prints the peak in MiB and the seconds of an update."""
    torch.manual_seed(1)
    task = masked_lm_task(words)
    before = high_water()
    if case == "training":
        criterion = MaskedLmLoss(MaskedLmConfig(tpu=False), task)
    else:
        soft = float(case == "distillation")
        cfg = LittleBirdDistillationCriterionConfig(teacher_path=teacher, soft_weight=soft)
        criterion = LittleBirdDistillationCriterion(cfg, task)
    model = LittleBirdModel.build_model(OmegaConf.structured(LittleBirdModelConfig(**sizes)), task).train()
    optimizer = Adam(model.parameters())
    criterion.train()
    for _ in range(2):
        begun = time.perf_counter()
        tokens = torch.randint(4, words, (batch, length))
        target = tokens.masked_fill(torch.rand(tokens.shape) > 0.15, task.dictionary.pad())
        sample = {"net_input": {"src_tokens": tokens}, "target": target, "ntokens": tokens.numel(), "nsentences": batch}
        loss, size, _ = criterion(model, sample)
        (loss / size).backward()
        optimizer.step()
        optimizer.zero_grad()
    print(high_water() - before, time.perf_counter() - begun)


def high_water() -> float:
    """The process's own peak of resident memory in MiB; getrusage would begin with its parent's."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--batch", type=int, default=1, help="sequences")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--words", type=int, default=30522)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--case", nargs=3, metavar=("CASE", "LENGTH", "TEACHER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sizes = {
        "encoder_layers": options.layers,
        "encoder_embed_dim": options.width,
        "encoder_ffn_embed_dim": 4 * options.width,
        "encoder_attention_heads": options.heads,
    }
    if options.case:
        case, length, teacher = options.case
        run(case, int(length), options.batch, sizes, options.words, teacher)
        return

    base = None
    print(f"{'length':>7} {'case':>13} {'peak MiB':>9} {'to training at ' + str(options.lengths[0]):>18} {'s':>6}")
    for length in options.lengths:
        with tempfile.TemporaryDirectory() as folder:
            teacher = f"{folder}/teacher.pt"
            save_teacher(teacher, sizes, length, masked_lm_task(options.words))
            for case in CASES:
                words = [sys.executable, __file__, *sys.argv[1:], "--case", case, str(length), teacher]
                done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
                peak, seconds = map(float, done.stdout.split()[-2:])
                base = base or peak
                print(f"{length:>7} {case:>13} {peak:>9.0f} {peak / base:>18.2f} {seconds:>6.2f}", flush=True)


if __name__ == "__main__":
    logging.disable(logging.INFO)
    main()

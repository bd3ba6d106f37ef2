"""How long one question about one document takes, in a program: ``reader.answer``, tokenizing and all.

    python answering.py --folder quickstart/qa-512 --text quickstart/corpus/text.txt

The model has the named architecture and random weights: how long it takes does not depend on what it knows.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_NAME_REGISTRY, ARCH_MODEL_REGISTRY
from omegaconf import OmegaConf

from fairseq_littlebird.benchmarks.timing import interleaved
from fairseq_littlebird.pipelines.littlebird import LittleBird
from fairseq_littlebird.pipelines.loading import PRECISIONS, set_precision
from fairseq_littlebird.tasks.question_answering import QuestionAnsweringConfig, QuestionAnsweringTask
from fairseq_littlebird.text.tokenizers import load_tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="of littlebird-prepare qa: its dictionary and tokenizer")
    parser.add_argument("--text", required=True, help="what the documents are cut from")
    parser.add_argument("--arch", default="littlebird_base")
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 2048, 8192], help="tokens of a document")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["float32", "bfloat16", "int8"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    readers = {precision: reader(options.arch, options.folder, precision) for precision in options.precisions}
    text = Path(options.text).read_text("utf-8")[: 8 * max(options.lengths)]
    offsets = readers[options.precisions[0]].tokenizer.encode(text)[1]
    question = "Which method closes the stream?"
    documents = {length: text[: offsets[length - 1][1]] for length in options.lengths}
    runs = {
        f"{length:6,} tokens, {precision:8}": partial(readers[precision].answer, question, document)
        for length, document in documents.items()
        for precision in readers
    }
    for name, taken in interleaved(runs, options.runs).items():
        print(f"{name} {taken.median / 1e3:6.2f} s [{taken.fastest / 1e3:.2f} – {taken.slowest / 1e3:.2f}]")


def reader(arch: str, folder: str, precision: str) -> LittleBird:
    """A reader of random weights that takes a document of any length as one window."""
    task = QuestionAnsweringTask.setup_task(QuestionAnsweringConfig(data=folder, span_head="qass"))
    chosen = argparse.Namespace()
    ARCH_CONFIG_REGISTRY[arch](chosen)
    torch.manual_seed(0)
    kind, name = ARCH_MODEL_REGISTRY[arch], ARCH_MODEL_NAME_REGISTRY[arch]
    sizes = vars(kind.config_class(**vars(chosen))) | {"_name": name}
    model = task.build_model(OmegaConf.create(sizes))
    set_precision(model, PRECISIONS[precision])
    return LittleBird(model.eval(), task, load_tokenizer(folder), max_tokens=2**17)


if __name__ == "__main__":
    main()

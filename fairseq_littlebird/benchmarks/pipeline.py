"""Everything around the model, beside the model's own speed: does any of it make the model wait?

Whatever is compared runs in turn in one process; each figure is a median with its range.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from fairseq.data import PrependTokenDataset, TokenBlockDataset, data_utils, iterators
from fairseq.data.shorten_dataset import TruncateDataset
from torch import Tensor, nn

from fairseq_littlebird.benchmarks.timing import Times, interleaved
from fairseq_littlebird.checkpoints.dictionary import QUESTION
from fairseq_littlebird.data.dictionary import load_dictionary, vocabulary
from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertion
from fairseq_littlebird.data.preparation import prepare_questions
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.data.question_answering_dataset import QuestionAnsweringDataset
from fairseq_littlebird.data.recurring_span_dataset import RecurringSpanDataset
from fairseq_littlebird.datasets import DATASETS, PLAIN, find_dataset
from fairseq_littlebird.heads.span_selection import SPAN_HEADS
from fairseq_littlebird.inference.answering import DecodedWindows, decode_windows, merge_batch
from fairseq_littlebird.inference.prediction_files import write_predictions
from fairseq_littlebird.modules.config import LittleBirdConfig
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder
from fairseq_littlebird.output import whole_file
from fairseq_littlebird.text import recurring_spans, recurring_spans_reference
from fairseq_littlebird.text.tokenizers import load_tokenizer

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"layers": 3, "embed_dim": 64, "ffn_embed_dim": 256, "heads": 4, "pack_size": 16},
    "base": {"layers": 12, "embed_dim": 768, "ffn_embed_dim": 3072, "heads": 12, "pack_size": 64},
}
BATCHES = 40
"""Batches that padding and loading are measured on at most."""


class Row(NamedTuple):
    """A figure: the higher the better but for padding."""

    part: str
    case: str
    unit: str
    median: float
    lowest: float
    highest: float
    remark: str = ""


HEADER = f"{'part':<16} {'case':<46} {'median':>10} {'range':>23}  unit"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--text", metavar="DIR", help="text binarized by fairseq-preprocess: measures masking, padding and loading"
    )
    parser.add_argument(
        "--free-end", action="store_true", help="recurring spans may end inside a word, for Korean text"
    )
    parser.add_argument(
        "--questions",
        nargs="+",
        default=[],
        metavar="DIR",
        help="questions of littlebird-prepare qa: measures padding and decoding",
    )
    parser.add_argument("--documents", metavar="FILE", help="a data set's own file: measures littlebird-prepare qa")
    parser.add_argument("--dataset", choices=DATASETS, default=PLAIN, help="format of --documents")
    parser.add_argument("--tokenizer", metavar="DIR", help="tokenizer for --documents")
    parser.add_argument("--split", default="train", help="split of --text and --questions")
    parser.add_argument(
        "--lengths", type=int, nargs="+", default=[512, 2048, 4096], metavar="L", help="tokens per chunk of text"
    )
    parser.add_argument(
        "--sizes", nargs="+", choices=SIZES, default=list(SIZES), help="models to compare the data rate with"
    )
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="sequences per batch, for padding")
    parser.add_argument("--max-tokens", type=int, default=32768, metavar="N", help="tokens per batch")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="numbers of worker processes to measure"
    )
    parser.add_argument("--chunks", type=int, default=40, metavar="N", help="chunks to mask")
    parser.add_argument("--windows", type=int, default=32, metavar="N", help="windows to decode, at least")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="measured runs, after one warm-up run")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the figures and the environment to this file")


def run(options: argparse.Namespace) -> Iterator[Row]:
    """Measures what there is data for, part by part."""
    if options.text:
        for length in options.lengths:
            dataset = spans_dataset(options.text, options.split, length, options.free_end)
            yield from masking(dataset, length, options.chunks, options.runs)
            yield from padding(f"{Path(options.text).name} {length:,}", dataset, options)
            yield from loading(dataset, length, options)
    for folder in options.questions:
        name = PreparedQuestions(folder, options.split).settings["dataset"]
        noisy = find_dataset(name, folder).noisy
        pad = load_dictionary(folder).pad()
        for training in (True, False):
            questions = QuestionAnsweringDataset(
                PreparedQuestions(folder, options.split), pad, training, unanswered=0.1, noisy=noisy
            )
            name = f"{Path(folder).name}, {'training' if training else 'evaluation'}"
            yield from padding(name, questions, options)
        yield from answering(Path(folder).name, questions, options)
    if options.documents:
        yield from preparing(options)


def spans_dataset(folder: str, split: str, length: int, free_end: bool) -> RecurringSpanDataset:
    """Chunks of whole lines, up to ``length`` tokens, as ``--sample-break-mode complete`` makes them."""
    dictionary = load_dictionary(folder)
    known = vocabulary(dictionary, folder)
    lines = TruncateDataset(data_utils.load_indexed_dataset(f"{folder}/{split}", dictionary), length - 1)
    blocks = TokenBlockDataset(
        lines, lines.sizes, length - 1, dictionary.pad(), dictionary.eos(), break_mode="complete"
    )
    return RecurringSpanDataset(
        PrependTokenDataset(blocks, dictionary.bos()),
        known,
        dictionary.index(QUESTION),
        dictionary.pad(),
        free_end=free_end,
        padding_insertion=PaddingInsertion(known.sentence_end()),
    )


def masking(dataset: RecurringSpanDataset, length: int, count: int, rounds: int) -> Iterator[Row]:
    """Chunks a second in one process, with their gaps, beside the plain implementation."""
    chosen = np.random.default_rng(0).permutation(len(dataset))[:count].tolist()
    chunks = [np.asarray(dataset.dataset[index]) for index in chosen]

    def mask(way: Any) -> Callable[[], None]:
        def work() -> None:
            for number, tokens in enumerate(chunks):
                clusters = way.recurring_spans(tokens, dataset.vocabulary, free_end=dataset.free_end)
                cap, rng = recurring_spans.question_cap(len(tokens)), np.random.default_rng([1, 1, number])
                way.select_questions(tokens, clusters, dataset.question_id, dataset.pad_id, cap, rng)
                dataset.padding_insertion.positions(tokens, 1, number)  # type: ignore[union-attr]

        return work

    ways = {"vectorised": mask(recurring_spans), "reference": mask(recurring_spans_reference)}
    times = interleaved(ways, rounds)
    ratio = f"{times['reference'].median / times['vectorised'].median:.1f} times the reference"
    for name, taken in times.items():
        remark = ratio if name == "vectorised" else ""
        yield rate("masking", f"{length:,} tokens, {name}", "chunks/s", len(chunks), taken, remark)


def padding(name: str, dataset: Any, options: argparse.Namespace) -> Iterator[Row]:
    """The share of what is encoded together that is padding, over the batches drawn."""
    for limit, value in (("max_sentences", options.batch_size), ("max_tokens", options.max_tokens)):
        np.random.seed(1)
        if limit == "max_tokens":
            value = max(value, int(dataset.num_tokens_vec(dataset.ordered_indices()).max()))
        batches = dataset.batch_by_size(dataset.ordered_indices(), **{limit: value})
        shares, real, padded = [], 0, 0
        for chosen in np.random.permutation(len(batches))[:BATCHES]:
            batch = dataset.collater([dataset[int(index)] for index in batches[chosen]])
            full, size = int(batch["net_input"]["src_lengths"].sum()), batch["net_input"]["src_tokens"].numel()
            shares.append(100 * (1 - full / max(1, size)))
            real, padded = real + full, padded + size
        option = "--batch-size" if limit == "max_sentences" else "--max-tokens"
        total = 100 * (1 - real / max(1, padded))
        yield Row("padding", f"{name}, {option} {value}", "% of tokens", total, min(shares), max(shares))


def loading(dataset: RecurringSpanDataset, length: int, options: argparse.Namespace) -> Iterator[Row]:
    """Tokens a second that workers give, from their start to their end, beside those that an encoder trains on."""
    batches = [batch.tolist() for batch in dataset.batch_by_size(dataset.ordered_indices(), max_tokens=8 * length)]
    step = max(1, len(batches) // BATCHES)
    batches = batches[::step][:BATCHES]
    tokens = int(sum(dataset.sizes[batch].sum() for batch in batches))

    def load(workers: int) -> Callable[[], None]:
        def work() -> None:
            iterator = iterators.EpochBatchIterator(dataset, dataset.collater, batches, num_workers=workers)
            for _ in iterator.next_epoch_itr(shuffle=False):
                pass

        return work

    times = interleaved({f"{n} workers": load(n) for n in options.workers}, options.runs)
    rows = [rate("loading", f"{length:,} tokens, {name}", "tokens/s", tokens, t) for name, t in times.items()]
    models = {size: encoder(size).train() for size in options.sizes}
    sequence = torch.randint(5, 1000, (1, length))
    steps = {size: lambda model=model: model(sequence).sum().backward() for size, model in models.items()}
    for size, taken in interleaved(steps, min(3, options.runs)).items():
        rows.append(rate("training", f"{length:,} tokens, {size} encoder", "tokens/s", length, taken))
    yield from rows


def encoder(size: str) -> LittleBirdEncoder:
    """Of so small a vocabulary that its embeddings weigh nothing."""
    return LittleBirdEncoder(LittleBirdConfig(1000, 1, block_size=64, **SIZES[size]))


class Encoded(nn.Module):
    """A model whose encoder has done its work: hidden states by the window."""

    def __init__(self, hidden: Tensor, head: nn.Module) -> None:
        super().__init__()
        self.hidden, self.span_head = hidden, head

    def forward(self, src_tokens: Tensor, **inputs: Any) -> tuple[Tensor, dict[str, Any]]:
        return self.hidden[:, : src_tokens.shape[1]].expand(len(src_tokens), -1, -1).contiguous(), {}


def answering(name: str, dataset: QuestionAnsweringDataset, options: argparse.Namespace) -> Iterator[Row]:
    """Windows a second from loading to the files of predictions, without the encoder; and of the encoder alone."""
    counts, order = np.diff(dataset.first_window), dataset.ordered_indices()[::-1]
    chosen = order[: int(np.searchsorted(np.cumsum(counts[order]), options.windows)) + 1].tolist()
    batch = dataset.collater([dataset[index] for index in chosen])
    W, L = batch["net_input"]["src_tokens"].shape
    width = SIZES["base"]["embed_dim"]
    models = {kind: Encoded(torch.randn(1, L, width), head(width)) for kind, head in SPAN_HEADS.items()}
    net_input = {key: value for key, value in batch["net_input"].items() if key in ("src_tokens", "src_lengths")}
    net_input["questions"] = batch["net_input"]["questions"][:, :1]

    def decode(kind: str) -> list[DecodedWindows]:
        return [part for part, _ in decode_windows(models[kind], net_input, batch["selectable"])]

    decoded = decode("linear")

    def write() -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_predictions(f"{folder}/out", merge_batch(batch["examples"], batch["windows"], decoded))

    model = encoder("base").eval()
    runs: dict[str, Callable[[], object]] = {
        "loading": lambda: dataset.collater([dataset[index] for index in chosen]),
        "spans, linear head": lambda: decode("linear"),
        "spans, qass head": lambda: decode("qass"),
        "merging and writing": write,
        "base encoder": lambda: model(torch.randint(5, 1000, (1, L))),
    }
    with torch.inference_mode():
        times = interleaved(runs, options.runs)
    whole = times["base encoder"].median * W
    for part, taken in times.items():
        windows = 1 if part == "base encoder" else W
        remark = "" if part == "base encoder" else f"{taken.median / whole:.2%} of the base encoder's time"
        yield rate("answering", f"{name}, windows of {L:,}, {part}", "windows/s", windows, taken, remark)


def preparing(options: argparse.Namespace) -> Iterator[Row]:
    """Windows a second from the official file to the prepared folder."""
    tokenizer = load_tokenizer(options.tokenizer, Path(options.tokenizer) / "dict.txt")
    windows = 0

    def prepare(workers: int) -> Callable[[], None]:
        def work() -> None:
            nonlocal windows
            files, dictionary = {"train": [options.documents]}, Path(options.tokenizer) / "dict.txt"
            with tempfile.TemporaryDirectory() as folder:
                found = prepare_questions(
                    options.dataset, files, tokenizer, dictionary, f"{folder}/out", 4096, 2048, workers=workers
                )
            windows = found["train"]["windows"]

        return work

    times = interleaved({f"{n} workers": prepare(n) for n in options.workers if n}, options.runs)
    for name, taken in times.items():
        yield rate("preparing", f"{Path(options.documents).name}, {name}", "windows/s", windows, taken)


def rate(part: str, case: str, unit: str, count: int, taken: Times, remark: str = "") -> Row:
    """``count`` things in so many milliseconds, as things a second."""
    median, lowest, highest = (1e3 * count / ms for ms in (taken.median, taken.slowest, taken.fastest))
    return Row(part, case, unit, median, lowest, highest, remark)


def line(row: Row) -> str:
    """A row below ``HEADER``."""
    spread = f"[{row.lowest:,.1f} - {row.highest:,.1f}]"
    return f"{row.part:<16} {row.case:<46} {row.median:>10,.1f} {spread:>23}  {row.unit}  {row.remark}".rstrip()


def write_csv(path: Path, rows: Sequence[Row], record: Mapping[str, str]) -> None:
    """One line a row, with the environment beside it."""
    with whole_file(path, overwrite=True) as new, new.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*Row._fields, *record])
        writer.writerows([*row, *record.values()] for row in rows)

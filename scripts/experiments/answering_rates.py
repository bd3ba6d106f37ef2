"""Questions a second over many short documents, and over one long one, beside a RoBERTa of transformers.

    python scripts/experiments/answering_rates.py --folder quickstart/qa-512 --text quickstart/corpus/text.txt

Both have random weights of the architecture's sizes, the same tokenizer, and the same windows. transformers 5 has no
question-answering pipeline: the peer does as its documentation of the task shows, tokenizing each question with its
document, batches of --batch-size windows in their order, and the best pair of the 20 best starts and ends; once with
windows padded to the maximum length, once to the longest of the batch. All run in turn in one process.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_NAME_REGISTRY, ARCH_MODEL_REGISTRY
from omegaconf import OmegaConf

from fairseq_littlebird.benchmarks.timing import interleaved
from fairseq_littlebird.data.encoded_document import cut
from fairseq_littlebird.pipelines.littlebird import LittleBird
from fairseq_littlebird.tasks.question_answering import QuestionAnsweringConfig, QuestionAnsweringTask
from fairseq_littlebird.text.tokenizers import load_tokenizer
from fairseq_littlebird.text.tokenizers.base import Tokenizer

OURS, MAXIMUM, LONGEST = "LittleBird", "RoBERTa, padded to the maximum", "RoBERTa, to the longest"
N_BEST, LONGEST_ANSWER = 20, 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="of littlebird-prepare qa: its dictionary and tokenizer")
    parser.add_argument("--text", required=True, help="what the documents are cut from")
    parser.add_argument("--arch", default="littlebird_base")
    parser.add_argument("--max-tokens", type=int, default=512, help="of a window")
    parser.add_argument("--stride", type=int, default=256, help="context tokens from one window to the next")
    parser.add_argument("--documents", type=int, default=32, help="short documents, with a question each")
    parser.add_argument("--tokens", type=int, nargs=2, default=[50, 400], help="the fewest and the most of one")
    parser.add_argument("--questions", type=int, default=16, help="about one document of --long tokens")
    parser.add_argument("--long", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=8, help="windows that RoBERTa reads together")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = littlebird(options)
    peer = Peer(model, options)
    text = Path(options.text).read_text("utf-8")
    rng = random.Random(0)
    lengths = [rng.randint(*options.tokens) for _ in range(options.documents)]
    short = [(question(rng, text), document(rng, text, peer.tokenizer, length)) for length in lengths]
    whole = document(rng, text, peer.tokenizer, options.long)
    about = [(question(rng, text), whole) for _ in range(options.questions)]
    encoder = Stopwatch(model.model.encoder)
    for name, asked in (
        (f"{len(short)} documents of {options.tokens[0]} to {options.tokens[1]} tokens", short),
        (f"{len(about)} questions about {options.long:,} tokens", about),
    ):
        questions, documents = [q for q, _ in asked], [d for _, d in asked]
        runs: dict[str, Callable[[], object]] = {
            OURS: lambda q=questions, d=documents: model.answer(q, d, progress=False),  # type: ignore[misc]
            MAXIMUM: lambda q=questions, d=documents: peer.answers(q, d, True),  # type: ignore[misc]
            LONGEST: lambda q=questions, d=documents: peer.answers(q, d, False),  # type: ignore[misc]
        }
        encoder.seconds = 0.0
        taken = interleaved(runs, options.runs)
        spent = encoder.seconds / (options.runs + 1) / (taken[OURS].median / 1e3)
        print(name)
        for way, times in taken.items():
            rates = [1e3 * len(asked) / ms for ms in (times.median, times.slowest, times.fastest)]
            remark = f"{spent:.0%} of it in the encoder" if way == OURS else ""
            remark = remark or f"LittleBird: {times.median / taken[OURS].median:.2f} times as many"
            print(f"  {way:<32} {rates[0]:8.2f} a second [{rates[1]:.2f} - {rates[2]:.2f}]  {remark}", flush=True)


def littlebird(options: argparse.Namespace) -> LittleBird:
    """A model of random weights."""
    task = QuestionAnsweringTask.setup_task(QuestionAnsweringConfig(data=options.folder, span_head="linear"))
    chosen = argparse.Namespace()
    ARCH_CONFIG_REGISTRY[options.arch](chosen)
    torch.manual_seed(0)
    kind, name = ARCH_MODEL_REGISTRY[options.arch], ARCH_MODEL_NAME_REGISTRY[options.arch]
    model = task.build_model(OmegaConf.create(vars(kind.config_class(**vars(chosen))) | {"_name": name}))
    return LittleBird(model.eval(), task, load_tokenizer(options.folder), options.max_tokens, options.stride)


def question(rng: random.Random, text: str) -> str:
    """Ten words of the text."""
    begin = rng.randrange(len(text) - 200)
    return " ".join(text[begin : begin + 200].split()[1:11]) + "?"


def document(rng: random.Random, text: str, tokenizer: Tokenizer, tokens: int) -> str:
    """A piece of the text with so many tokens."""
    begin = rng.randrange(len(text) - 16 * tokens)
    piece = text[begin : begin + 16 * tokens]
    offsets = tokenizer.encode(piece)[1]
    return piece[: offsets[min(tokens, len(offsets)) - 1][1]]


class Stopwatch:
    """The seconds that a module spends in ``forward``."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.seconds = self._begun = 0.0
        module.register_forward_pre_hook(self._begin)
        module.register_forward_hook(self._end)

    def _begin(self, *_: Any) -> None:
        self._begun = time.perf_counter()

    def _end(self, *_: Any) -> None:
        self.seconds += time.perf_counter() - self._begun


class Peer:
    """transformers' RoBERTa with a model's sizes, tokenizer and windows."""

    def __init__(self, model: LittleBird, options: argparse.Namespace) -> None:
        own = model.model.encoder.config
        self.tokenizer, self.options, self.pad = model.tokenizer, options, 1
        dictionary = model.task.source_dictionary
        self.numbers, self.unknown = dictionary.indices, dictionary.unk()
        config = transformers.RobertaConfig(
            vocab_size=len(dictionary),
            hidden_size=own.embed_dim,
            num_hidden_layers=own.layers,
            num_attention_heads=own.heads,
            intermediate_size=own.ffn_embed_dim,
            max_position_embeddings=options.max_tokens + 2,
            pad_token_id=self.pad,
            attn_implementation="sdpa",
        )
        self.model = transformers.RobertaForQuestionAnswering(config).eval()

    @torch.inference_mode()
    def answers(self, questions: Sequence[str], documents: Sequence[str], maximum: bool) -> list[str]:
        """The best answer to each question.

        Args:
            questions, documents: alike many.
            maximum: pad to the maximum length, as transformers' documentation does.
        """
        windows = [w for pair in enumerate(zip(questions, documents, strict=True)) for w in self.windows(*pair)]
        best = [(float("-inf"), 0, 0)] * len(questions)
        for first in range(0, len(windows), self.options.batch_size):
            batch = windows[first : first + self.options.batch_size]
            longest = self.options.max_tokens if maximum else max(len(tokens) for _, tokens, *_ in batch)
            tokens = torch.full((len(batch), longest), self.pad)
            for row, window in zip(tokens, batch, strict=True):
                row[: len(window[1])] = torch.from_numpy(window[1])
            scores = self.model(input_ids=tokens, attention_mask=tokens.ne(self.pad))
            both = zip(batch, scores.start_logits.numpy(), scores.end_logits.numpy(), strict=True)
            for (index, _, context, offsets), start, end in both:
                found = best_span(start, end, context, len(offsets))
                if found and found[0] > best[index][0]:
                    best[index] = found[0], int(offsets[found[1], 0]), int(offsets[found[2], 1])
        return [document[start:end] for document, (_, start, end) in zip(documents, best, strict=True)]

    def windows(self, index: int, pair: tuple[str, str]) -> list[tuple[int, np.ndarray, int, np.ndarray]]:
        """Those of a question: its index, token ids, where the context begins, and the context's offsets."""
        asked = self.ids(self.tokenizer.encode(pair[0])[0])
        symbols, pairs = self.tokenizer.encode(pair[1])
        context, offsets = self.ids(symbols), np.array(pairs)
        ranges = cut(len(context), len(asked), self.options.max_tokens, self.options.stride)[0]
        return [
            (index, np.array([0, *asked, 2, *context[begin:end], 2]), len(asked) + 2, offsets[begin:end])
            for begin, end in ranges.tolist()
        ]

    def ids(self, symbols: Sequence[str]) -> list[int]:
        return [self.numbers.get(symbol, self.unknown) for symbol in symbols]


def best_span(start: np.ndarray, end: np.ndarray, context: int, size: int) -> tuple[float, int, int] | None:
    """The best pair of the best starts and ends: its score, first and last token of the context."""
    best = None
    for first in np.argsort(start)[: -N_BEST - 1 : -1].tolist():
        for last in np.argsort(end)[: -N_BEST - 1 : -1].tolist():
            if context <= first <= last < min(context + size, first + LONGEST_ANSWER):
                score = float(start[first] + end[last])
                if best is None or score > best[0]:
                    best = score, first - context, last - context
    return best


if __name__ == "__main__":
    main()

"""Texts that a language model goes on with."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, overload

import torch
from fairseq.models import FairseqLanguageModel
from torch import Tensor

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inference.continuation import Continuation
from fairseq_littlebird.models.text_generation import GenerationSettings, TextGenerator
from fairseq_littlebird.pipelines.summarizer import texts_of
from fairseq_littlebird.text.tokenizers import BYTES, CHARACTERS, UNKNOWN, Tokenizer, without_surrogates

MAX_TEXTS = 64  # that are generated together


class Generator:
    """A mixin of :class:`LittleBird` for language models."""

    model: Any
    task: Any
    tokenizer: Tokenizer

    @overload
    def generate(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self, prompt: str, max_new_tokens: int = ..., **options: Any
    ) -> Continuation: ...
    @overload
    def generate(self, prompt: Sequence[str], max_new_tokens: int = ..., **options: Any) -> list[Continuation]: ...

    def generate(
        self, prompt: str | Sequence[str], max_new_tokens: int = 200, **options: Any
    ) -> Continuation | list[Continuation]:
        """What follows a beginning: a :class:`Continuation`, or one a beginning, in their order.

        Models of this plugin keep what their windows reach, and nothing else, however long the text becomes.

        Args:
            prompt: the beginning, or several; it may be empty.
            max_new_tokens: how many tokens are generated at most.
            options: ``temperature``, ``top_k``, ``top_p`` and ``seed`` of sampling; or ``beam``, the number of
                hypotheses of a beam search (1: greedy) instead of sampling; see
                :class:`~fairseq_littlebird.models.text_generation.GenerationSettings`.
        Raises:
            UserError: the model is no language model, a wrong option, a character that the model does not know, or
                more tokens than learned positions reach.
        """
        if not isinstance(self.model, FairseqLanguageModel):
            remedy = "train one, such as longformer_lm_small, with --task littlebird_language_modeling"
            raise UserError("this model is no language model", remedy=remedy)
        try:
            settings = GenerationSettings(max_new_tokens=max_new_tokens, **options)
        except TypeError as error:
            known = ", ".join(field.name for field in fields(GenerationSettings))
            raise UserError(f"no such option ({error})", remedy=f"choose of {known}") from error
        found = continuations(self.model, self.task, self.tokenizer, texts_of(prompt, "prompt"), settings)
        return found[0] if isinstance(prompt, str) else found


@torch.inference_mode()
def continuations(
    model: FairseqLanguageModel, task: Any, tokenizer: Tokenizer, prompts: Sequence[str], settings: GenerationSettings
) -> list[Continuation]:
    """How each text goes on; texts of one length go on together.

    Args:
        model: in evaluation mode, on its device.
        task: of the model, with its dictionary.
        tokenizer: its symbols are the dictionary's.
        prompts: the beginnings.
        settings: how texts go on.
    Raises:
        UserError: see :meth:`Generator.generate`.
    """
    dictionary, device = task.source_dictionary, next(model.parameters()).device
    options = getattr(task, "cfg", None) or getattr(task, "args", None)
    start = dictionary.bos() if getattr(options, "add_bos_token", False) else dictionary.eos()
    of_length: dict[int, list[int]] = defaultdict(list)
    ids: list[Tensor] = []
    for n, prompt in enumerate(prompts):
        symbols = _symbols(tokenizer, prompt, f"prompt {n}")
        ids.append(torch.tensor([start, *map(dictionary.index, symbols)]))
        of_length[len(ids[n])].append(n)
    most = model.max_decoder_positions()
    for n, tokens in enumerate(ids):
        if len(tokens) + settings.max_new_tokens > most:
            what = f"{len(tokens) - 1:,} tokens and {settings.max_new_tokens:,} new ones"
            raise UserError(what, f"prompt {n}", f"shorten it, or lower max_new_tokens: the model reads {most - 1:,}")
    # of characters or bytes a training text has no </s>
    generator = TextGenerator(model, dictionary, settings, ends=tokenizer.kind not in (CHARACTERS, BYTES))
    found: dict[int, Continuation] = {}
    with _seeded(settings.seed, device):
        for numbers in (part for same in of_length.values() for part in _parts(same)):
            beginnings = torch.stack([ids[n] for n in numbers]).to(device)
            for n, best in zip(numbers, generator.continue_texts(beginnings), strict=True):
                new = [int(token) for token in best["tokens"][:-1]]
                text = _text(tokenizer, dictionary.symbols, ids[n].tolist()[1:], new)
                ended = len(new) < settings.max_new_tokens
                found[n] = Continuation(prompts[n], text, float(best["positional_scores"].sum()), len(new), ended)
    return [found[n] for n in range(len(prompts))]


def _symbols(tokenizer: Tokenizer, prompt: str, where: str) -> list[str]:
    """A beginning as dictionary symbols. Raises UserError for a character that a model of characters does not know."""
    text = without_surrogates(prompt)
    symbols = tokenizer.tokenize(text)
    if tokenizer.kind == CHARACTERS and UNKNOWN in symbols:
        at = symbols.index(UNKNOWN)
        raise UserError(f"unknown character {text[at]!r} at {at}", where, "leave it out: the model was trained without")
    return symbols


def _text(tokenizer: Tokenizer, symbols: Sequence[str], given: Sequence[int], new: Sequence[int]) -> str:
    """The text of new tokens, with the white space between it and what was given."""
    before = tokenizer.decode(symbols[token] for token in given)
    whole = tokenizer.decode(symbols[token] for token in (*given, *new))
    return whole[len(before) :] if whole.startswith(before) else tokenizer.decode(symbols[token] for token in new)


def _parts(numbers: Sequence[int]) -> list[Sequence[int]]:
    return [numbers[n : n + MAX_TEXTS] for n in range(0, len(numbers), MAX_TEXTS)]


@contextlib.contextmanager
def _seeded(seed: int | None, device: torch.device) -> Any:
    """PyTorch's generators with a seed; afterwards they are as they were. None leaves them alone."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield

"""Beam search against exhaustive search, n-gram blocking, and length penalties."""

from __future__ import annotations

import itertools
import math
from argparse import Namespace

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.models import FairseqEncoder, FairseqEncoderDecoderModel, FairseqIncrementalDecoder

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.generation import (
    GNMT,
    POWER,
    BeamSearchSettings,
    RepeatedNgrams,
    SummaryGenerator,
    generator_options,
)

WORDS = "a b c d".split()


@pytest.fixture(scope="module")
def dictionary():
    """Five tokens that the model writes, ``</s>`` among them; others make room for a beam that holds all prefixes."""
    found = Dictionary()
    for word in [*WORDS, *(f"unused{n}" for n in range(200))]:
        found.add_symbol(word)
    return found


class Encoder(FairseqEncoder):
    def forward(self, src_tokens, src_lengths=None, **unused):
        return {"encoder_out": [src_tokens[None].float()], "encoder_padding_mask": []}

    def reorder_encoder_out(self, encoder_out, new_order):
        return {"encoder_out": [encoder_out["encoder_out"][0].index_select(1, new_order)], "encoder_padding_mask": []}

    def max_positions(self):
        return 100


class Decoder(FairseqIncrementalDecoder):
    """Draws the logits of each prefix from what it and the document are."""

    def __init__(self, dictionary):
        super().__init__(dictionary)
        self.allowed = [dictionary.eos(), *(dictionary.index(word) for word in WORDS)]

    def forward(self, prev_output_tokens, encoder_out=None, incremental_state=None, **unused):
        rows = []
        for document, prefix in zip(encoder_out["encoder_out"][0][0], prev_output_tokens, strict=True):
            rows.append([self.logits(int(document[0]), prefix[: n + 1].tolist()) for n in range(len(prefix))])
        return torch.stack([torch.stack(row) for row in rows])[:, -1:], None

    def logits(self, document, prefix):
        generator = torch.Generator().manual_seed(hash((document, *prefix)) % 2**31)
        logits = torch.full((len(self.dictionary),), -math.inf)
        logits[self.allowed] = torch.randn(len(self.allowed), generator=generator) * 2
        return logits

    def max_positions(self):
        return 20


@pytest.fixture(scope="module")
def model(dictionary):
    return FairseqEncoderDecoderModel(Encoder(dictionary), Decoder(dictionary))


def generate(model, dictionary, documents=(5, 6, 7), start=None, **settings):
    """The best hypothesis of each document: its words and its score."""
    options = generator_options(BeamSearchSettings(**settings))
    generator = SummaryGenerator(
        [model],
        dictionary,
        decoder_start=start,
        length_penalty_kind=options.length_penalty_kind,
        no_repeat_ngram_size=options.no_repeat_ngram_size,
        beam_size=options.beam,
        len_penalty=options.lenpen,
        min_len=options.min_len,
        max_len_b=options.max_len_b,
    )
    tokens = torch.tensor([[document, dictionary.eos()] for document in documents])
    sample = {"net_input": {"src_tokens": tokens, "src_lengths": torch.full((len(documents),), 2)}}
    found = generator.generate([model], sample)
    return [(dictionary.string(f[0]["tokens"]).split(), float(f[0]["score"]), f[0]) for f in found]


def exhaustive(model, dictionary, document, kind, alpha, longest, size=0, shortest=0):
    """The best of all summaries of up to ``longest`` words."""
    best = None
    for length in range(shortest, longest + 1):
        for words in itertools.product(WORDS, repeat=length):
            ngrams = [words[n : n + size] for n in range(len(words) - size + 1)] if size else []
            if len(ngrams) > len(set(ngrams)):
                continue
            ids = [dictionary.index(word) for word in words] + [dictionary.eos()]
            total = sum(
                model.decoder.logits(document, [dictionary.eos(), *ids[:n]]).log_softmax(-1)[token].item()
                for n, token in enumerate(ids)
            )
            # at the last step only </s> may come, whose own probability counts
            penalty = len(ids) ** alpha if kind == POWER else ((5 + len(ids)) / 6) ** alpha
            if best is None or total / penalty > best[1]:
                best = [*words], total / penalty
    return best


@pytest.mark.parametrize(
    ("kind", "alpha", "size", "shortest"),
    [
        (POWER, 1.0, 0, 1),
        (POWER, 0.0, 0, 0),
        (POWER, 2.0, 0, 1),
        (GNMT, 0.8, 0, 1),
        (GNMT, 2.0, 2, 1),
        (POWER, 1.0, 1, 2),
    ],
)
def test_a_beam_of_all_prefixes_is_an_exhaustive_search(model, dictionary, kind, alpha, size, shortest):
    settings = {"length_penalty_kind": kind, "length_penalty": alpha, "no_repeat_ngram_size": size}
    found = generate(model, dictionary, beam=190, max_length=3, min_length=shortest, **settings)
    for document, (words, score, _) in zip((5, 6, 7), found, strict=True):
        best = exhaustive(model, dictionary, document, kind, alpha, 3, size, shortest)
        assert words == best[0] and score == pytest.approx(best[1], abs=1e-5)


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_ngram_comes_twice(model, dictionary, beam, size):
    free = generate(model, dictionary, beam=beam, max_length=19, min_length=3 if size == 1 else 15)
    words = [words for words, _, _ in free]
    assert any(repeats(w, size) for w in words)  # otherwise nothing would be shown
    longest = 4 if size == 1 else 19
    blocked = generate(
        model, dictionary, beam=beam, max_length=longest, min_length=min(longest, 10), no_repeat_ngram_size=size
    )
    for words, _, _ in blocked:
        assert len(words) >= min(longest, 10) and not repeats(words, size)


def repeats(words, size):
    ngrams = [tuple(words[n : n + size]) for n in range(len(words) - size + 1)]
    return len(set(ngrams)) < len(ngrams)


def test_what_is_not_written_yet_and_the_start_forbid_nothing():
    tokens = torch.tensor([[2, 5, 6, 5, 1, 1], [2, 5, 5, 5, 6, 6], [2, 2, 5, 2, 1, 1]])
    lprobs = RepeatedNgrams(2)(tokens, torch.zeros(3, 8), bsz=3, beam_size=1, step=3)
    assert [row.isinf().nonzero().flatten().tolist() for row in lprobs] == [[6], [5], [5]]


def test_the_decoder_begins_with_what_it_was_trained_with(model, dictionary):
    start = dictionary.index("b")
    words, _, hypothesis = generate(model, dictionary, start=start, beam=1, max_length=5)[0]
    first = model.decoder.logits(5, [start]).log_softmax(-1)
    first[dictionary.eos()] = -math.inf
    assert words[0] == dictionary[int(first.argmax())]
    assert float(hypothesis["positional_scores"][0]) == pytest.approx(float(first.max()), abs=1e-5)


def test_a_model_is_told_of_its_beams_only_while_they_are_searched(dictionary):
    told = []

    class Told(FairseqEncoderDecoderModel):
        def set_beam_size(self, beam):
            told.append(beam)

    generate(Told(Encoder(dictionary), Decoder(dictionary)), dictionary, beam=3, max_length=3)
    assert told[-1] == 1 and 3 in told


@pytest.mark.parametrize(
    "settings",
    [
        {"beam": 0},
        {"beam": 1.5},
        {"no_repeat_ngram_size": -1},
        {"min_length": 9, "max_length": 8},
        {"min_length": 300},
        {"length_penalty_kind": "none"},
        {"length_penalty": math.nan},
    ],
)
def test_settings_that_make_no_sense_are_told(settings):
    with pytest.raises(UserError):
        BeamSearchSettings(**settings)


def test_fairseq_has_the_settings_under_its_names():
    settings = BeamSearchSettings(beam=2, length_penalty=0.7, length_penalty_kind=GNMT, no_repeat_ngram_size=3)
    assert generator_options(settings) == Namespace(
        beam=2, lenpen=0.7, length_penalty_kind=GNMT, no_repeat_ngram_size=3, min_len=1, max_len_a=0, max_len_b=200
    )

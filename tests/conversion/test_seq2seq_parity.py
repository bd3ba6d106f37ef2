"""Encoder–decoders with the parameters of transformers' compute what those compute, and write the same texts.

transformers' generation and fairseq's agree under these settings: ``early_stopping=True`` (fairseq's search ends with
as many finished hypotheses as beams), padding never written, and </s> forced after ``max_len_b`` other tokens, by the
processor below: ``forced_eos_token_id`` counts nothing for a forced </s>, fairseq its score. Scores are divided by
(length with </s>) ** length penalty in both.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fairseq.sequence_generator import SequenceGenerator
from helpers.seq2seq import CONFIGS, EOS, LONG, PAD, VOCABULARY, dictionary, our_model, their_model
from torch import Tensor

from fairseq_littlebird.conversion.seq2seq.adapters import BART, FAIRSEQ_BART, HUGGING_FACE

LINEAR = ("led", "bigbird_pegasus")


def documents(*lengths: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    tokens = torch.full((len(lengths), max(lengths)), PAD)
    for row, length in zip(tokens, lengths, strict=True):
        row[:length] = torch.randint(4, VOCABULARY, (length,), generator=generator)
    tokens[:, 0] = 0
    return tokens


def targets(rows: int, length: int = 11) -> Tensor:
    tokens = torch.randint(4, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(4))
    tokens[:, 0] = EOS
    return tokens


class LastToken:
    """A processor of logits for transformers: </s> alone, with its own score, as the last token."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, tokens: Tensor, scores: Tensor) -> Tensor:
        if tokens.shape[1] < self.length:
            return scores
        others = torch.arange(scores.shape[1]) != EOS
        return scores.masked_fill(others, -torch.inf)


def their_inputs(kind: str, tokens: Tensor, global_tokens: Tensor | None = None) -> dict[str, Tensor]:
    inputs = {"input_ids": tokens, "attention_mask": tokens.ne(PAD).long()}
    if kind == "led":
        if global_tokens is None:
            global_tokens = (torch.arange(tokens.shape[1]) == 0).expand_as(tokens)
        inputs["global_attention_mask"] = global_tokens.long()
    return inputs


@pytest.fixture(params=LINEAR)
def pair(request: pytest.FixtureRequest, transformers: Any) -> tuple[str, Any, Any]:
    theirs = their_model(transformers, request.param)
    return request.param, theirs, our_model(theirs, request.param)


@pytest.mark.parametrize("lengths", [(97,), (96, 61, 50), (150, 113)])
def test_logits(pair: tuple[str, Any, Any], lengths: tuple[int, ...]) -> None:
    """Lengths past those at which BigBird-Pegasus of transformers attends in full, each row by itself there."""
    kind, theirs, ours = pair
    source, target = documents(*lengths), targets(len(lengths))
    with torch.no_grad():
        got = ours(source, None, target)[0]
        if kind == "led":
            wanted = theirs(**their_inputs(kind, source), decoder_input_ids=target).logits
        else:  # where its blocks end depends on the longest of the batch
            rows = [
                theirs(**their_inputs(kind, row[row != PAD][None]), decoder_input_ids=t[None]).logits
                for row, t in zip(source, target, strict=True)
            ]
            wanted = torch.cat(rows)
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["bart", "pegasus"])
def test_logits_of_short_texts(transformers: Any, kind: str) -> None:
    """The models that LED and BigBird-Pegasus start from, where they attend in full."""
    theirs = their_model(transformers, kind)
    ours = our_model(theirs, kind)
    source, target = documents(41, 17), targets(2)
    if kind == "bart":  # no token is global there
        nothing = torch.zeros_like(source, dtype=torch.bool)
        ours.encoder.annotations = lambda tokens, _: type(ours.encoder).annotations(ours.encoder, tokens, nothing)
    with torch.no_grad():
        wanted = theirs(**their_inputs(kind, source), decoder_input_ids=target).logits
        got = ours(source, None, target)[0]
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def test_global_tokens(transformers: Any) -> None:
    theirs = their_model(transformers, "led")
    ours = our_model(theirs, "led")
    source, target = documents(97, 60), targets(2)
    chosen = torch.zeros_like(source, dtype=torch.bool)
    chosen[0, [0, 40, 96]] = True
    chosen[1, [3, 59]] = True
    with torch.no_grad():
        wanted = theirs(**their_inputs("led", source, chosen), decoder_input_ids=target).logits
        got = ours(source, None, target, global_tokens=chosen)[0]
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("penalty", [0.8, 1.0, 2.0])
@pytest.mark.parametrize("beam", [1, 4])
def test_generated_tokens(pair: tuple[str, Any, Any], beam: int, penalty: float) -> None:
    kind, theirs, _ = pair
    with torch.no_grad():  # so that what is written depends on the document
        for name, parameter in theirs.named_parameters():
            if "encoder_attn" in name and name.endswith("weight") and "norm" not in name:
                parameter *= 5
            if "decoder" in name and "norm" in name and name.endswith("bias"):
                parameter.zero_()
    ours = our_model(theirs, kind)
    source, longest = documents(97, 131, 60), 14
    symbols = dictionary()
    generator = SequenceGenerator([ours], symbols, beam_size=beam, max_len_b=longest, len_penalty=penalty)
    net_input = {"src_tokens": source, "src_lengths": source.ne(PAD).sum(1)}
    got = [best[0]["tokens"].tolist() for best in generator.generate([ours], {"net_input": net_input})]
    wanted = []
    for row in source:
        output = theirs.generate(
            **their_inputs(kind, row[row != PAD][None]),
            num_beams=beam,
            do_sample=False,
            length_penalty=penalty,
            early_stopping=True,
            max_new_tokens=longest + 1,
            logits_processor=[LastToken(longest + 1)],
            suppress_tokens=[PAD],
        )[0, 1:].tolist()
        wanted.append(output[: output.index(EOS) + 1])
    assert got == wanted
    assert len({*map(tuple, wanted)}) == 3


def test_short_batches_do_not_change_what_comes_after(transformers: Any) -> None:
    """transformers' BigBird-Pegasus attends in full for good after one short input."""
    theirs = their_model(transformers, "bigbird_pegasus")
    ours = our_model(theirs, "bigbird_pegasus")
    long, short, target = documents(150), documents(20), targets(1)
    with torch.no_grad():
        before = [theirs(**their_inputs("", long), decoder_input_ids=target).logits, ours(long, None, target)[0]]
        theirs(**their_inputs("", short), decoder_input_ids=target)
        ours(short, None, target)
        after = [theirs(**their_inputs("", long), decoder_input_ids=target).logits, ours(long, None, target)[0]]
    assert (before[0] - after[0]).abs().max() > 0.01
    torch.testing.assert_close(before[1], after[1])


def test_neither_batch_nor_padding_is_read(transformers: Any) -> None:
    """Where the reference reads padding without a mask, or the longest row of a batch, ours does neither."""
    for kind in LINEAR:
        theirs = their_model(transformers, kind)
        ours = our_model(theirs, kind)
        source, target = documents(150, 95), targets(2)
        alone, short = source[1:, :95], target[1:]
        with torch.no_grad():
            mask = {"attention_mask": None} if kind == "led" else {}
            together = theirs(**their_inputs(kind, source) | mask, decoder_input_ids=target).logits[1:]
            by_itself = theirs(**their_inputs(kind, alone), decoder_input_ids=short).logits
            assert (together - by_itself).abs().max() > 0.01, kind
            got = ours(source, None, target)[0][1:]
            torch.testing.assert_close(got, ours(alone, None, short)[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(got, by_itself, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", CONFIGS)
def test_theirs_to_ours_and_back(transformers: Any, kind: str) -> None:
    """The whole ``state_dict``, tied weights included; the rows that no token has are 0 on the way back."""
    theirs = their_model(transformers, kind).state_dict()
    adapter = HUGGING_FACE[kind]
    ours, dropped = adapter.to_ours(theirs, "")
    back = adapter.from_ours(ours)
    assert not dropped
    assert back.keys() == theirs.keys()
    for key, value in theirs.items():
        wanted = value.clone()
        if key.endswith("embed_positions.weight"):
            wanted[: adapter.offset] = 0
        assert torch.equal(back[key], wanted), key
    again, _ = adapter.to_ours(back, "")
    assert again.keys() == ours.keys()
    assert all(torch.equal(again[key], ours[key]) for key in ours)


def test_fairseq_s_bart_is_transformers_(transformers: Any) -> None:
    """The same parameters in fairseq's own BART give its logits by way of the two tables."""
    import argparse

    from fairseq.models.bart import BARTModel
    from fairseq.models.bart.model import bart_base_architecture

    theirs = their_model(transformers, "bart")
    state, _ = BART.to_ours(theirs.state_dict(), "")
    config = theirs.config
    args = argparse.Namespace(
        encoder_layers=config.encoder_layers, decoder_layers=config.decoder_layers, encoder_embed_dim=config.d_model,
        encoder_ffn_embed_dim=config.encoder_ffn_dim, decoder_ffn_embed_dim=config.decoder_ffn_dim,
        encoder_attention_heads=config.encoder_attention_heads, decoder_attention_heads=config.decoder_attention_heads,
        max_source_positions=60, max_target_positions=60,
    )  # fmt: skip
    bart_base_architecture(args)
    symbols = dictionary()
    task = argparse.Namespace(source_dictionary=symbols, target_dictionary=symbols)
    fairseqs = BARTModel.build_model(args, task).eval()
    missing, unexpected = torch.nn.Module.load_state_dict(fairseqs, FAIRSEQ_BART.from_ours(state), strict=False)
    assert not unexpected
    assert {key.split(".")[-1] for key in missing} <= {"version"}
    source, target = documents(41, 17), targets(2)
    with torch.no_grad():
        wanted = theirs(**their_inputs("bart", source), decoder_input_ids=target).logits
        got = fairseqs(source, source.ne(PAD).sum(1), target)[0]
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def test_positions_are_as_many_as_the_configuration_s(transformers: Any) -> None:
    ours = our_model(their_model(transformers, "led"), "led")
    assert ours.max_positions() == (LONG, 60)

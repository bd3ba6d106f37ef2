"""littlebird-score: every token once, as windows computed by hand say; read once, the same; and what it refuses."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
import torch
from helpers.language_models import as_fairseqs, bare
from helpers.messages import numbers_in

from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.cli.score import main as score
from fairseq_littlebird.data.token_stream import TokenStream
from fairseq_littlebird.data.token_windows import token_windows
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models import LittleBirdLM, LongformerLM
from fairseq_littlebird.pipelines.language_model import load_language_model
from fairseq_littlebird.pipelines.scoring import score_split, shortened_tokens
from fairseq_littlebird.tasks.littlebird_language_modeling import (
    LittleBirdLanguageModelingConfig,
    LittleBirdLanguageModelingTask,
)
from fairseq_littlebird.text.tokenizers import load_tokenizer

EOS = 2
FIELD = 8 + 16  # of character_model's windows


@pytest.fixture(scope="module")
def loaded(characters, character_model):
    """The trained model and its task."""
    return load_language_model(character_model, str(characters / "data"), "cpu")


def untrained(data, mode="none", kind=LongformerLM, **options):
    """A model with random weights, and its task."""
    cfg = LittleBirdLanguageModelingConfig(data=str(data), sample_break_mode=mode)
    task = LittleBirdLanguageModelingTask.setup_task(cfg)
    sizes = {"decoder_layers": 2, "decoder_embed_dim": 16, "decoder_ffn_embed_dim": 16, "decoder_attention_heads": 2}
    torch.manual_seed(1)
    options = {"attention_window": "8-16"} | options if kind is LongformerLM else options
    return kind.build_model(sizes | options, task).eval(), task


def tokens_of(data, split):
    stream = TokenStream.of_split(data, split)
    return stream.read(0, len(stream)).tolist()


@torch.no_grad()
def bits_of(model, before, tokens):
    """Of each token, after the one before all of them."""
    logits, _ = model(torch.tensor([[before, *tokens[:-1]]]))
    return (-logits[0].double().log_softmax(-1).gather(1, torch.tensor(tokens)[:, None])[:, 0] / math.log(2)).tolist()


def by_hand(model, tokens, length, stride):
    """The bits of every token, window by window."""
    bits, start = {}, 0
    while True:
        window = tokens[start : start + length]
        own = bits_of(model, tokens[start - 1] if start else EOS, window)
        for n in range(length - stride if start else 0, len(window)):
            assert start + n not in bits
            bits[start + n] = own[n]
        if start + length >= len(tokens):
            assert sorted(bits) == [*range(len(tokens))]
            return bits
        start += stride


def same(a, b):
    assert a == pytest.approx(b, rel=2e-6)


@pytest.mark.parametrize(
    "length, stride, max_tokens",
    [(64, 64, 1), (50, 20, 300), (30, 7, 10**6), (700, 7, 10**6), (611, 611, 1), (610, 1, 1), (4, 2, 99)],
)
def test_a_score_is_the_sum_over_windows(characters, loaded, length, stride, max_tokens):
    found = score_split(*loaded, "test", length, stride, max_tokens=max_tokens, quiet=True)
    hand = by_hand(loaded[0], tokens_of(characters / "data", "test"), length, stride)
    assert found.tokens == len(hand) == 611
    same(found.bits, sum(hand.values()))


def test_loading_processes_change_nothing(loaded):
    alone, loading = (score_split(*loaded, "test", 50, 20, max_tokens=99, workers=n, quiet=True) for n in (0, 2))
    assert alone == loading


@pytest.mark.parametrize("chunk", [1, 7, 100, 10**6])
def test_any_chunks_of_a_cached_score_give_the_same(characters, loaded, chunk):
    found = score_split(*loaded, "test", 64, 64, cached=True, max_tokens=chunk, quiet=True)
    tokens = tokens_of(characters / "data", "test")
    same(found.bits, sum(bits_of(loaded[0], EOS, tokens)))
    assert found.computed == found.tokens == len(tokens)


@pytest.mark.parametrize("length, stride", [(64, 40), (64, 20), (25, 1)])
def test_cached_equals_windows_with_room_for_what_the_model_sees(loaded, length, stride):
    windows, cached = (score_split(*loaded, "test", length, stride, cached=c, quiet=True) for c in (False, True))
    assert windows.receptive_field == FIELD and length - stride >= FIELD
    assert windows.shortened == cached.shortened == 0
    same(windows.bits, cached.bits)


@pytest.mark.parametrize("length, stride", [(64, 41), (64, 64), (20, 5), (300, 290), (10, 3)])
def test_says_how_many_tokens_see_less(characters, loaded, length, stride):
    """Those whose bits in the windows are not those in the whole text are among them, and nearly all of them."""
    found = score_split(*loaded, "test", length, stride, quiet=True)
    tokens = tokens_of(characters / "data", "test")
    hand, whole = by_hand(loaded[0], tokens, length, stride), bits_of(loaded[0], EOS, tokens)
    differ = sum(abs(hand[n] - whole[n]) > 2e-6 for n in hand)
    assert differ <= found.shortened <= differ * 1.1


@pytest.mark.parametrize("field", [0, 3, 24, None])
def test_tokens_that_see_less_are_counted(field):
    windows = token_windows(np.array([[0, 50], [50, 53], [53, 100]]), 12, 5)
    count = 0
    for start, first, stop, opening in zip(*windows, strict=True):
        for p in range(first, stop):
            begin = 0 if p < 50 else 50 if p < 53 else 53
            count += p - start + 1 < min(p - begin + 1, math.inf if field is None else field + 1)
            assert not opening or start == begin
    assert shortened_tokens(windows, field) == count


def test_a_token_changes_no_bits_before_it_and_few_behind_it(characters, tmp_path):
    """A score of a text is that of its beginning, and of what comes."""
    text = (characters / "test.txt").read_text("utf-8")[:200]
    at, other = 90, "z" if text[90] != "z" else "y"
    (tmp_path / "train").write_text(text + "zy", "utf-8")
    (tmp_path / "valid").write_text(text[:at] + other + text[at + 1 :], "utf-8")
    (tmp_path / "test").write_text(text, "utf-8")
    files = [word for split in ("input", "valid", "test") for word in (f"--{split}", f"{tmp_path}/{split}")]
    files[1] = f"{tmp_path}/train"
    prepare(["characters", *files, "--destdir", f"{tmp_path}/data"])
    model, task = untrained(tmp_path / "data")
    for cached in (False, True):
        one, two = (score_split(model, task, s, 80, 50, cached=cached, quiet=True).bits for s in ("test", "valid"))
        rows = [bits_of(model, EOS, tokens_of(tmp_path / "data", split)) for split in ("test", "valid")]
        assert rows[0][:at] == rows[1][:at]
        torch.testing.assert_close(rows[0][at + FIELD + 2 :], rows[1][at + FIELD + 2 :], rtol=1e-5, atol=1e-5)
        change = sum(rows[0][at : at + FIELD + 2]) - sum(rows[1][at : at + FIELD + 2])
        assert one - two == pytest.approx(change, abs=1e-4) and abs(change) > 0.01


@pytest.mark.parametrize("task, workers", [("littlebird_language_modeling", 0), ("littlebird_language_modeling", 2),
                                           ("language_modeling", 1)])  # fmt: skip
def test_equals_fairseq_eval_lm(fairseq, characters, character_model, loaded, task, workers):
    """With windows of 120 tokens of which 80 are context; it counts the windows from the first scored token."""
    own = ["--task", task, "--tokens-per-sample", 120, "--context-window", 80, "--num-workers", workers]
    more = ["--path", character_model / "checkpoint_last.pt", "--gen-subset", "valid", "--batch-size", 3, "--cpu"]
    done = fairseq("eval-lm", characters / "data", *own, *more)
    loss = float(re.search(r"Loss \(base 2\): ([\d.]+)", done.stdout + done.stderr)[1])
    found = score_split(*loaded, "valid", 120, 40, quiet=True)
    assert loss == pytest.approx(found.bits / found.tokens, abs=6e-5)


def test_a_model_that_sees_the_whole_text(characters):
    """LittleBird's first block: what comes first is seen everywhere."""
    model, task = untrained(characters / "data", kind=LittleBirdLM, block_size=16)
    tokens = tokens_of(characters / "data", "test")
    hand = by_hand(model, tokens, 100, 30)
    windows, cached = (score_split(model, task, "test", 100, 30, cached=c, max_tokens=77, quiet=True) for c in (0, 1))
    same(windows.bits, sum(hand.values()))
    same(cached.bits, sum(bits_of(model, EOS, tokens)))
    assert windows.receptive_field is None and windows.shortened == len(tokens) - 100


def test_lines_are_texts_of_their_own(tiny):
    """Where a model was trained so: none sees the line before, and a long one has several windows."""
    model, task = untrained(tiny / "text", "eos")
    stream = TokenStream.of_split(tiny / "text", "valid")
    lines = [stream.read(*map(int, line)).tolist() for line in stream.documents(True)]
    hand = sum(sum(by_hand(model, line, 50, 20).values()) for line in lines)
    same(score_split(model, task, "valid", 50, 20, max_tokens=1000, quiet=True).bits, hand)
    whole = sum(sum(bits_of(model, EOS, line)) for line in lines)
    same(score_split(model, task, "valid", 50, 20, cached=True, max_tokens=33, quiet=True).bits, whole)


def test_text_of_a_tokenizer_is_measured(tiny):
    """Every line is what its tokens spell, and a line end."""
    model, task = untrained(tiny / "text")
    tokenizer = load_tokenizer(tiny / "tokenizer")
    lines = (tiny / "symbols.valid").read_text("utf-8").splitlines()
    text = "".join(f"{tokenizer.decode(line.split())}\n" for line in lines)
    found = score_split(model, task, "valid", 10**5, 10**5, tokenizer=tokenizer, quiet=True)
    assert found.size == (len(text), len(text.encode()), 0)
    assert score_split(model, task, "valid", 10**5, 10**5, quiet=True).size == (None, None, 0)


@pytest.mark.parametrize("unit", ["characters", "bytes"])
def test_text_of_several_bytes_a_character_is_measured(tmp_path, unit):
    text = "Grüße, 漢字 und ▁ 👩🏽\n" * 5
    (tmp_path / "text").write_text(text, "utf-8")
    files = ["--input", f"{tmp_path}/text", "--test", f"{tmp_path}/text", *(["--bytes"] if unit == "bytes" else [])]
    prepare(["characters", *files, "--destdir", f"{tmp_path}/data"])
    model, task = untrained(tmp_path / "data")
    found = score_split(model, task, "test", 30, 20, tokenizer=load_tokenizer(tmp_path / "data"), quiet=True).figures()
    counts = {"characters": len(text), "bytes": len(text.encode())}
    assert {name: found[name] for name in ("tokens", *counts)} == {"tokens": counts[unit], **counts}
    for name, count in counts.items():
        assert found[f"bits_per_{name[:-1]}"] == found["bits"] / count


@pytest.mark.parametrize("precision, tolerance", [("bfloat16", 0.02), ("int8", 0.05)])
def test_other_precisions(characters, character_model, loaded, precision, tolerance):
    model, task = load_language_model(character_model, str(characters / "data"), "cpu", precision)
    for cached in (False, True):
        found, exact = (score_split(*m, "test", 64, 32, cached=cached, quiet=True) for m in ((model, task), loaded))
        assert found.bits != exact.bits
        assert found.bits / 611 == pytest.approx(exact.bits / 611, abs=tolerance)


def test_learned_positions_limit_the_windows(characters):
    model, task = untrained(characters / "data", positions="learned", max_positions=64)
    found = score_split(model, task, "test", 64, 32, quiet=True)
    assert found.receptive_field is None and found.shortened == 611 - 64
    with pytest.raises(UserError, match="windows of 65 tokens, but the model has positions for 64; lower --length"):
        score_split(model, task, "test", 65, 32, quiet=True)
    with pytest.raises(UserError, match="a text of 611 tokens, but the model has positions for 64; leave out --cached"):
        score_split(model, task, "test", 64, 32, cached=True, quiet=True)


def test_what_is_printed(characters, character_model, loaded, capsys):
    given = [f"{characters}/data", "--path", f"{character_model}", "--length", "64", "--stride", "20"]
    for more in ([], ["--cached"]):
        score([*given, *more, "--json"])
        figures = json.loads(capsys.readouterr().out)
        assert figures["bits_per_token"] == figures["bits_per_character"] == figures["bits_per_byte"]
        same(figures["bits"], score_split(*loaded, "test", 64, 20, quiet=True).bits)
        assert figures["split"] == "test" and figures["cached"] == bool(more) and figures["shortened"] == 0
        score([*given, *more])
        said = capsys.readouterr().out.splitlines()
        assert said[0] == "test: 611 tokens, 611 characters, 611 bytes"
        assert [line.split()[-1] for line in said[1:4]] == [f"{figures['bits_per_token']:.4f}"] * 3
        assert f"{figures['perplexity']:.2f}" in said[4]
        assert numbers_in(said[-1])[-1] == FIELD
    score([*given, "--stride", "64", "--split", "valid"])
    assert "valid: 1,500 tokens" in capsys.readouterr().out


def test_the_checkpoint_has_the_tokenizer(characters, character_model, tmp_path, capsys):
    score([f"{bare(characters, tmp_path / 'bare')}", "--path", f"{character_model}"])
    assert capsys.readouterr().out.startswith("test: 611 tokens, 611 characters, 611 bytes\n")


def test_without_a_tokenizer_there_are_bits_per_token_alone(characters, changed, tmp_path, capsys):
    def forget(content):
        content["task_state"]["files"] = {}
        content["cfg"]["task"]["data"] = "elsewhere"

    given = [f"{bare(characters, tmp_path / 'bare')}", "--path", f"{changed(forget)}"]
    score([*given, "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert figures["bits_per_character"] is figures["bits_per_byte"] is figures["characters"] is None
    score(given)
    said = capsys.readouterr().out
    assert "characters and bytes are not known without the text's tokenizer (--tokenizer)" in said
    assert "bits per token" in said and "bits per character" not in said
    score([*given, "--tokenizer", f"{characters}/data/characters.json", "--json"])
    assert json.loads(capsys.readouterr().out)["bits_per_character"] == figures["bits_per_token"]


def test_a_checkpoint_of_fairseqs_task(characters, changed, loaded, capsys):
    score(
        [
            f"{characters}/data",
            "--path",
            f"{changed(as_fairseqs(characters / 'data'))}",
            "--length",
            "64",
            "--stride",
            "20",
            "--json",
        ]
    )
    figures = json.loads(capsys.readouterr().out)
    same(figures["bits"], score_split(*loaded, "test", 64, 20, quiet=True).bits)


def test_characters_are_one_text_for_a_model_of_lines_too(characters, changed, capsys):
    path = changed(lambda content: content["cfg"]["task"].update(sample_break_mode="eos"))
    score([f"{characters}/data", "--path", f"{path}", "--length", "64", "--stride", "20", "--json"])
    assert json.loads(capsys.readouterr().out)["windows"] == 1 + -(-(611 - 64) // 20)


def test_real_bytes(data_dir, tmp_path):
    """A short novel as bytes, in one pass: the same in any chunks, and more bits a character than a byte."""
    (file,) = (data_dir / "text_en" / "litbank").glob("876_*.txt")
    prepare(["characters", "--bytes", "--test", f"{file}", "--destdir", f"{tmp_path}/data"])
    model, task = untrained(tmp_path / "data")
    more = {"cached": True, "quiet": True, "tokenizer": load_tokenizer(tmp_path / "data")}
    found, other = (score_split(model, task, "test", 32256, 512, max_tokens=n, **more) for n in (30000, 10007))
    same(found.bits, other.bits)
    text = file.read_bytes()
    assert found.figures()["bits_per_character"] == found.bits / len(text.decode())
    assert found.figures()["bits_per_byte"] == found.bits / len(text)

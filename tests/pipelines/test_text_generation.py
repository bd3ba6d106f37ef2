"""Texts that a language model goes on with: in memory, and from trained checkpoints."""

from __future__ import annotations

import math
import shutil
from types import SimpleNamespace

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.models.transformer_lm import TransformerLanguageModel, TransformerLanguageModelConfig
from helpers.training import TRAINING

from fairseq_littlebird import LittleBird
from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models import LittleBirdLM, LongformerLM
from fairseq_littlebird.models.text_generation import truncated
from fairseq_littlebird.text.tokenizers import CharacterTokenizer, WordTokenizer

SIZES = {"decoder_layers": 2, "decoder_embed_dim": 16, "decoder_ffn_embed_dim": 24, "decoder_attention_heads": 2}
MODELS = {
    "longformer": (LongformerLM, {"attention_window": "4-8", "attention_dilation": "1,2"}),
    "littlebird": (LittleBirdLM, {"block_size": 4}),
    "fairseq": None,
}
PROMPTS = ["w1 w2 w3 w4 w5 w6 w7", "", "w9 unknown w3", "w1 w2 w3 w4 w5 w6 w7"]


def make(name, **changes):
    """A language model with random weights, as ``from_pretrained`` gives it."""
    words = Dictionary()
    for n in range(20):
        words.add_symbol(f"w{n}")
    words.add_symbol("madeupword0000")
    task = SimpleNamespace(source_dictionary=words, target_dictionary=words, cfg=SimpleNamespace(add_bos_token=False))
    torch.manual_seed(0)
    if MODELS[name] is None:
        sizes = {"decoder_layers": 2, "decoder_attention_heads": 2, "dropout": 0.0, "max_target_positions": 64}
        sizes |= {
            "decoder_embed_dim": 16,
            "decoder_input_dim": 16,
            "decoder_output_dim": 16,
            "decoder_ffn_embed_dim": 24,
        }
        config = TransformerLanguageModelConfig(**sizes, tokens_per_sample=64, share_decoder_input_output_embed=True)
        model = TransformerLanguageModel.build_model(config, task)
    else:
        kind, own = MODELS[name]
        model = kind.build_model(SIZES | {"dropout": 0.0} | own | changes, task)
    for parameter in model.parameters():
        parameter.data += 0.15 * torch.randn_like(parameter)
    return LittleBird(model.eval(), task, WordTokenizer(words.symbols[words.nspecial :]))


@pytest.fixture(params=MODELS)
def loaded(request):
    return make(request.param)


@torch.no_grad()
def scores(loaded, texts):
    """Log-probabilities of the next token, by a pass over all of the text."""
    words = loaded.task.source_dictionary
    tokens = torch.tensor([[words.eos(), *map(words.index, texts.split())]])
    return loaded.model(tokens)[0][0].log_softmax(dim=-1)


def test_greedy_search_takes_the_most_probable_token(loaded):
    """Each follows from all of the text before it; the score is the sum."""
    words = loaded.task.source_dictionary
    banned = [words.bos(), words.pad(), words.unk(), words.index("madeupword0000")]
    for prompt in PROMPTS[:3]:
        found, text, total = loaded.generate(prompt, 14, beam=1), prompt, 0.0
        for step in range(found.tokens + found.ended):
            lprobs = scores(loaded, text)[-1]
            lprobs[banned] = -math.inf
            token = int(lprobs.argmax())
            total += float(lprobs[token])
            assert (token == words.eos()) == (step == found.tokens)
            text += "" if step == found.tokens else f" {words[token]}"
        assert found.prompt == prompt and f"{prompt}{found.text}".split() == text.split()
        assert found.tokens == len(found.text.split()) and found.ended == (found.tokens < 14)
        assert found.score == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize("options", [{"beam": 1}, {"beam": 3}, {"top_k": 1}, {"top_p": 1e-6, "temperature": 0.5}])
def test_several_equal_each_alone(loaded, options):
    """Of any lengths; with a single token to choose from sampling is greedy search."""
    together = loaded.generate(PROMPTS, 8, **options)
    for prompt, found in zip(PROMPTS, together, strict=True):
        alone = loaded.generate(prompt, 8, **options)
        assert (found.prompt, found.text, found.tokens) == (prompt, alone.text, alone.tokens)
        assert found.score == pytest.approx(alone.score, abs=1e-3)
        assert options.get("beam") == 3 or alone.text == loaded.generate(prompt, 8, beam=1).text


@pytest.mark.parametrize("options", [{"seed": 0}, {"beam": 3}])
def test_characters_and_bytes_have_no_end(loaded, options):
    """There is no </s> in their texts, whatever an untrained model says."""
    words = loaded.task.source_dictionary
    words.symbols[words.nspecial : words.nspecial + 20] = "abcdefghijklmnopqrst"
    words.indices = {symbol: n for n, symbol in enumerate(words.symbols)}
    ends = loaded.generate([""] * 64, 20, **options)
    loaded.tokenizer = CharacterTokenizer(words.symbols[words.nspecial : -1])
    found = loaded.generate(["ab", *[""] * 64], 20, **options)
    assert any(f.ended for f in ends) or "beam" in options
    assert all(f.tokens == len(f.text) == 20 and not f.ended for f in found)


def test_a_search_of_all_beams_finds_the_most_probable_text():
    """Of at most two tokens, by the mean over them and what ends them: as many hypotheses as tokens forget nothing."""
    loaded = make("longformer")
    words = loaded.task.source_dictionary
    known, end = range(words.nspecial, len(words) - 1), words.eos()
    first = scores(loaded, "w5")[-1]
    means = [float(first[end])]
    for token in known:
        second = first[token] + scores(loaded, f"w5 {words[token]}")[-1]
        means += [float(second[end]) / 2, float(second[known].max()) / 3]
    found = loaded.generate("w5", 2, beam=len(words) - 1)
    assert found.score / (found.tokens + 1) == pytest.approx(max(means), abs=1e-4)


def test_samples_are_repeated_by_their_seed(loaded):
    state = torch.get_rng_state()
    first, other, again = (loaded.generate(PROMPTS, 12, seed=seed) for seed in (1, 2, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert first == again and [f.text for f in first] != [f.text for f in other]
    assert first[0].text != first[3].text  # equal beginnings go on by draws of their own


def test_samples_have_the_probabilities_of_the_model():
    loaded = make("littlebird")
    words = loaded.task.source_dictionary
    expected = scores(loaded, "w5")[-1] / 0.7
    allowed = [words.eos(), *range(words.nspecial, len(words) - 1)]
    expected = expected[allowed].softmax(dim=0)
    found = loaded.generate(["w5"] * 1500, 1, seed=0, temperature=0.7)
    counts = torch.tensor(
        [sum(f.text.strip() == ("" if t == words.eos() else words[t]) for f in found) for t in allowed]
    )
    assert counts.sum() == 1500 and (counts / 1500 - expected).abs().max() < 0.05


@pytest.mark.parametrize(
    "top_k, top_p, kept",
    [
        (None, 1.0, [0, 1, 2, 3, 4]),
        (2, 1.0, [1, 3]),
        (9, 1.0, [0, 1, 2, 3, 4]),
        (None, 0.39, [1]),
        (None, 0.41, [1, 3]),
        (None, 0.89, [1, 2, 3]),
        (3, 0.45, [1, 3]),  # 0.4 of the 0.9 that are left
        (3, 0.44, [1]),
        (2, 1e-9, [1]),
    ],
)
def test_truncated_to_the_most_probable(top_k, top_p, kept):
    lprobs = torch.tensor([0.05, 0.4, 0.2, 0.3, 0.05]).log()
    found = truncated(lprobs, top_k, top_p)
    assert found.isfinite().nonzero().flatten().tolist() == kept and torch.equal(found[kept], lprobs[kept])


@pytest.mark.parametrize("name", ["longformer", "littlebird"])
def test_memory_does_not_grow_with_the_text(name, monkeypatch):
    loaded, states = make(name), []
    transformer = loaded.model.decoder.transformer
    begin = transformer.decoding_state
    monkeypatch.setattr(transformer, "decoding_state", lambda: states.append(begin()) or states[-1])
    sizes = []
    for prompt, new in (("w1 " * 30, 20), ("w1 " * 900, 120)):
        loaded.generate(prompt, new, seed=0)
        sizes.append([b.k.untyped_storage().nbytes() for b in states[-1].buffers])
    assert sizes[0] == sizes[1]


def test_learned_positions_are_a_limit():
    loaded = make("longformer", positions="learned", max_positions=20)
    assert loaded.generate("w1 w2", 17, beam=1).prompt == "w1 w2"
    with pytest.raises(UserError, match="prompt 0: 2 tokens and 18 new ones; shorten it, .* the model reads 19"):
        loaded.generate("w1 w2", 18)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"max_new_tokens": 0}, "max_new_tokens: expected a whole number from 1, got 0"),
        ({"temperature": 0}, "temperature: expected a number above 0, got 0"),
        ({"temperature": math.inf}, "temperature: expected a number above 0, got Infinity"),
        ({"top_p": 1.5}, "top_p: expected a number above 0, at most 1, got 1.5"),
        ({"top_k": 2.5}, "top_k: expected a whole number from 1, got 2.5"),
        ({"beam": True}, "beam: expected a whole number from 1, got true"),
        ({"beam": 2, "top_k": 3}, "top_k: a setting of sampling, but beam asks for a beam search; leave one out"),
        ({"length": 3}, "no such option .*'length'.*choose of max_new_tokens, beam, temperature, top_k, top_p, seed"),
        ({"prompt": 7}, "prompt: expected a str or a list of str, got int; give text"),
        ({"prompt": ["w1", None]}, "prompt 1: expected a str, got NoneType; give text"),
    ],
)
def test_bad_arguments_are_one_line(options, message):
    with pytest.raises(UserError, match=message):
        make("longformer").generate(**{"prompt": "w1"} | options)


class TestTrained:
    @pytest.mark.parametrize("given", [None, "text"])
    def test_symbols_with_white_space_between_them(self, language_model, tiny, monkeypatch, given):
        """fairseq's task keeps no tokenizer; tokens are what ``fairseq-preprocess`` read."""
        monkeypatch.chdir(tiny)  # the data are where they were in training
        loaded = LittleBird.from_pretrained(language_model, tokenizer=given)
        beginning = " ".join((tiny / "symbols.valid").read_text("utf-8").split()[:20])
        found = loaded.generate([beginning, ""], 30, beam=2)
        assert all(f.tokens == len(f.text.split()) <= 30 for f in found)
        assert {*found[0].text.split()} <= {*loaded.tokenizer.symbols()}
        assert loaded.generate(beginning, 30, beam=2).text == found[0].text

    def test_text_by_a_tokenizer_beside_it(self, language_model, tiny, tmp_path):
        shutil.copyfile(language_model / "checkpoint_last.pt", tmp_path / "checkpoint_last.pt")
        loaded = LittleBird.from_pretrained(tmp_path, tokenizer=tiny / "tokenizer")
        found = loaded.generate("Greta Holm founded", 20, beam=1)
        assert "\u2581" not in found.text and found.text

    @pytest.mark.parametrize("unit", ["characters", "bytes"])
    def test_characters_and_bytes(self, fairseq, once, unit):
        """The checkpoint alone is enough."""

        def train(folder):
            text = "".join(f"The {n}th line, as all – others.\n" for n in range(60))
            for split in ("input", "valid"):
                (folder / split).write_text(text, "utf-8")
            files = [f"--{split}={folder / split}" for split in ("input", "valid")]
            prepare(["characters", *files, f"--destdir={folder / 'data'}", *["--bytes"] * (unit == "bytes")])
            own = [folder / "data", "--task", "littlebird_language_modeling", "--tokens-per-sample", 64, *TRAINING]
            own += ["--criterion", "cross_entropy", "--arch", "littlebird_lm_tiny", "--block-size", 16, "--lr", "1e-2"]
            fairseq("train", *own, "--save-dir", folder / "model", "--max-update", 20, "--disable-validation")
            shutil.rmtree(folder / "data")

        loaded = LittleBird.from_pretrained(once(f"language_model-{unit}", train) / "model")
        found = loaded.generate(["The 7th line – as", "", "\n"], 20, seed=0)
        assert all(0 < len(f.text) <= 20 and f.tokens <= 20 for f in found)
        assert " " in "".join(f.text for f in found) and "\u2581" not in "".join(f.text for f in found)
        if unit == "characters":
            with pytest.raises(UserError, match="prompt 1: unknown character 'ß' at 4; leave it out"):
                loaded.generate(["The", "The ß"])
        else:
            assert loaded.generate("ß", 5, seed=0).tokens <= 5

    @pytest.mark.parametrize("precision", ["bfloat16", "int8"])
    def test_other_precisions(self, language_model, tiny, precision):
        loaded = LittleBird.from_pretrained(language_model, tokenizer=tiny / "text", precision=precision)
        assert loaded.generate("a b", 10, seed=0).tokens <= 10

    def test_an_encoder_is_one_line(self, span_model, tiny):
        loaded = LittleBird.from_pretrained(span_model, tokenizer=tiny / "tokenizer")
        with pytest.raises(UserError, match="this model is no language model; train one, such as longformer_lm_small"):
            loaded.generate("Greta Holm")

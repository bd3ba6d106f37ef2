"""The language models: options, sizes, decoding token by token, and what they refuse."""

from __future__ import annotations

from argparse import Namespace
from types import SimpleNamespace

import pytest
import torch
from fairseq.data import Dictionary, TruncatedDictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY, BaseFairseqModel
from fairseq.sequence_generator import SequenceGenerator

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models import LittleBirdLM, LongformerLM, LongformerLMConfig
from fairseq_littlebird.modules.config import CAUSAL_POSITIONS
from fairseq_littlebird.modules.config.windows import dilations_of_layers, windows_of_layers

PAD, EOS = 1, 2
SIZES = {"decoder_layers": 2, "decoder_embed_dim": 16, "decoder_ffn_embed_dim": 24, "decoder_attention_heads": 2}
MODELS = {
    **{kind: (LongformerLM, {"positions": kind, "attention_dilation": "1/1,3"}) for kind in CAUSAL_POSITIONS},
    "littlebird": (LittleBirdLM, {}),
}


def dictionary(symbols=20):
    made = Dictionary()
    for n in range(symbols):
        made.add_symbol(f"w{n}")
    return made


def build(task=None, kind=LongformerLM, **options):
    words = dictionary()
    torch.manual_seed(0)
    task = task or SimpleNamespace(source_dictionary=words, target_dictionary=words)
    own = {"attention_window": "4"} if kind is LongformerLM else {"block_size": 4}
    model = kind.build_model(SIZES | own | {"dropout": 0.0} | options, task).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def text(*shape):
    return torch.randint(4, 24, shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "option, layers, windows",
    [
        ("64", 3, (64, 64, 64)),
        ("4, 8,16", 3, (4, 8, 16)),
        ("32-512", 12, (32, 32, 64, 64, 64, 128, 128, 256, 256, 256, 512, 512)),
        ("32-512", 3, (32, 128, 512)),
        ("512-128", 4, (512, 256, 256, 128)),
        ("32-32", 2, (32, 32)),
        ("32-64", 1, (32,)),
    ],
)
def test_windows_of_layers(option, layers, windows):
    assert windows_of_layers(option, layers) == windows


def test_dilations_of_layers_and_heads():
    assert dilations_of_layers("2", 2, 3) == ((2, 2, 2),) * 2
    assert dilations_of_layers("1,2,3", 2, 3) == ((1, 2, 3),) * 2
    assert dilations_of_layers("1/2,1,1", 2, 3) == ((1, 1, 1), (2, 1, 1))
    config = build(attention_window="4-8", attention_dilation="1/1,3").decoder.transformer.config
    assert config.attention_window == (4, 8) and config.dilations == ((1, 1), (1, 3))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"attention_window": "wide"}, "attention window 'wide' is neither a whole number nor a comma list of them"),
        ({"attention_window": "32-500"}, "attention window '32-500' is not FIRST-LAST, the one a doubling"),
        ({"attention_window": "-4"}, "attention window '-4' is not FIRST-LAST"),
        ({"attention_window": "4,4,4"}, "3 attention windows do not fit 2 layers"),
        ({"attention_window": "7"}, "attention window 7 is not an even number of at least 2"),
        ({"attention_window": "0"}, "attention window 0 is not an even number of at least 2"),
        ({"attention_dilation": "1,"}, "attention dilation '1,' is neither"),
        ({"attention_dilation": "1,2,3"}, "3 attention dilations do not fit 2 heads"),
        ({"attention_dilation": "1/1/1"}, "attention dilations of 3 layers do not fit 2 layers"),
        ({"attention_dilation": "0"}, "attention dilation 0 is not positive"),
        ({"decoder_attention_heads": 3}, "3 attention heads do not divide a width of 16"),
        ({"kind": LittleBirdLM, "pack_size": 8}, r"pack size 8: causal masking cannot .*Limitations.* size at 0"),
        ({"kind": LittleBirdLM, "block_size": -4}, "block size -4 is not positive"),
    ],
)
def test_options_that_do_not_fit_are_one_line(options, message):
    with pytest.raises(UserError, match=message):
        build(**options)


@pytest.mark.parametrize("task", ["masked_lm", "question_answering", "summarization", "translation"])
def test_tasks_of_other_models_are_one_line(task):
    words = dictionary()
    given = SimpleNamespace(source_dictionary=words, target_dictionary=words, cfg=SimpleNamespace(_name=task))
    with pytest.raises(UserError, match=f"--task {task} does not apply to a language model; .*language_modeling"):
        build(given)


def test_an_output_dictionary_of_its_own_is_one_line():
    words = dictionary()
    given = SimpleNamespace(source_dictionary=words, target_dictionary=TruncatedDictionary(words, 10))
    with pytest.raises(UserError, match="an output dictionary of 10 tokens.*leave out --output-dictionary-size"):
        build(given)


def test_the_output_layer_is_the_table_of_embeddings():
    model, tokens = build(), text(2, 9)
    logits, _ = model(tokens)
    hidden, _ = model(tokens, features_only=True)
    torch.testing.assert_close(logits, hidden @ model.decoder.transformer.embeddings.tokens.weight.T)
    assert [name for name, p in model.named_parameters() if len(p) == 24] == [
        "decoder.transformer.embeddings.tokens.weight",
        *(f"decoder.transformer.layers.{n}.ffn.fc1.{kind}" for n in range(2) for kind in ("weight", "bias")),
    ]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("beam", [1, 4])
def test_beam_search_equals_the_whole_text(name, beam):
    """Prefixes of different lengths; each token's score is what the whole hypothesis gives it, in whatever order the
    beams went on."""
    (kind, options), words = MODELS[name], dictionary()
    model = build(kind=kind, **options)
    prefix = text(3, 12)
    prefix[1, 7:] = PAD
    generator = SequenceGenerator([model], words, beam_size=beam, max_len_a=0, max_len_b=40, normalize_scores=False)
    source = torch.cat([torch.full((3, 1), EOS), prefix], dim=1)
    sample = {"net_input": {"src_tokens": source, "src_lengths": source.ne(PAD).sum(1)}}
    found = generator.generate([model], sample, prefix_tokens=prefix, bos_token=EOS)
    assert len(found) == 3 and all(len(hypotheses) == beam for hypotheses in found)
    for row, hypotheses in enumerate(found):
        for hypothesis in hypotheses:
            tokens = hypothesis["tokens"]
            given = prefix[row][prefix[row] != PAD]
            assert torch.equal(tokens[: len(given)], given)
            logits, _ = model(torch.cat([torch.tensor([EOS]), tokens[:-1]])[None])
            scores = logits.log_softmax(-1)[0].gather(1, tokens[:, None])[:, 0]
            torch.testing.assert_close(hypothesis["positional_scores"], scores, rtol=1e-4, atol=1e-4)


class Whole(BaseFairseqModel):
    """The same model for a generator that computes everything again for each token."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, tokens):
        return self.model(tokens)

    def get_normalized_probs(self, *inputs, **options):
        return self.model.get_normalized_probs(*inputs, **options)


def test_beams_are_those_of_a_generator_that_keeps_nothing():
    model, words = build(attention_window="4-8"), dictionary()  # short texts: farther back, scores would be equal
    sample = {"net_input": {"src_tokens": torch.full((2, 1), EOS), "src_lengths": torch.ones(2)}}
    found = [
        SequenceGenerator([kind], words, beam_size=5, max_len_a=0, max_len_b=12).generate([kind], sample, bos_token=EOS)
        for kind in (model, Whole(model))
    ]
    for one, other in zip(*found, strict=True):
        assert [h["tokens"].tolist() for h in one] == [h["tokens"].tolist() for h in other]


def test_what_decoding_keeps_does_not_grow():
    model, state, sizes = build(attention_window="4-8"), {}, []
    with torch.no_grad():
        for n in range(1, 60):
            logits, _ = model.decoder(text(2, 60)[:, :n], incremental_state=state)
            assert logits.shape == (2, 1, 24)
            (kept,) = state.values()
            sizes.append([buffer.k.shape[2] for buffer in kept["decoding"].buffers])
    assert sizes[-1] == [5, 9] and sizes[8:] == [[5, 9]] * 51


def test_the_slopes_are_a_parameter_group_of_their_own():
    model = build(kind=LittleBirdLM)
    own = [name for name, p in model.named_parameters() if getattr(p, "param_group", "") == "slopes"]
    assert own == [f"decoder.transformer.layers.{n}.attention.slopes.{s}" for n in range(2) for s in ("alpha", "beta")]


def test_only_learned_positions_limit_the_length():
    assert build().max_positions() == build(positions="relative_sinusoidal").max_positions() == 2**31
    assert build(positions="learned", max_positions=77).max_decoder_positions() == 77


@pytest.mark.parametrize("name, millions", [("longformer_lm_small", 41), ("longformer_lm_large", 102)])
def test_the_papers_sizes(name, millions):
    """With the positions of the paper (appendix B)."""
    assert ARCH_MODEL_REGISTRY[name] is LongformerLM
    options = Namespace(positions="relative_sinusoidal")
    ARCH_CONFIG_REGISTRY[name](options)
    assert ARCH_MODEL_REGISTRY[name.replace("longformer", "littlebird")] is LittleBirdLM
    with torch.device("meta"):
        model = LongformerLM.build_transformer(LongformerLMConfig(**vars(options)), 205, 1)
    assert sum(p.numel() for p in model.parameters()) // 10**6 == millions

"""What a source's parameters become."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from fairseq_littlebird.attention.common.alibi_slopes import alibi_slopes
from fairseq_littlebird.cli.warm_start import main
from fairseq_littlebird.conversion.reading import read_source
from fairseq_littlebird.conversion.source import Source
from fairseq_littlebird.conversion.vocabulary import map_of_dictionary, map_of_tokenizer, xlm_roberta_numbers
from fairseq_littlebird.conversion.warm_start import full_attention_state, littlebird_state, spaced_layers
from fairseq_littlebird.data.dictionary import load_dictionary, vocabulary
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.heads.language_model import LanguageModelHead
from fairseq_littlebird.modules.config import FullAttentionConfig, LittleBirdConfig
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder

EMBEDDINGS = "encoder.embeddings."


@pytest.fixture(params=["BertForMaskedLM", "ElectraForMaskedLM"])
def source(hugging_face, request) -> Source:
    return read_source(hugging_face(request.param)[1])


def vocabulary_of(source, new=()):
    """Rows in a dictionary's order: the shift to it is tested apart."""
    text = "".join(f"w{n} 1\n" for n in range(source.config.vocab_size - 5))
    return map_of_dictionary(text.encode(), source.config.vocab_size, new, "source")


def teacher(source, vocab):
    config = FullAttentionConfig(len(vocab.symbols), max_positions=source.config.max_positions)
    return full_attention_state(source, vocab, config, range(3), torch.Generator().manual_seed(0))


def student(source, vocab, layers=None, seed=0, **options):
    layers = layers or range(source.config.layers)
    sizes = {name: getattr(source.config, name) for name in ("embed_dim", "ffn_embed_dim", "heads", "word_embed_dim")}
    config = LittleBirdConfig(
        len(vocab.symbols), layers=len(layers), **sizes, **{"pack_size": 6, "block_size": 4} | options
    )
    return config, littlebird_state(source, vocab, config, layers, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "options",
    [{}, {"pack_size": 0}, {"positions": "learned", "max_positions": 200}, {"positions": "none"}, {"window": False}],
)
def test_exactly_the_parameters_of_littlebird(source, options):
    vocab = vocabulary_of(source)
    config, state = student(source, vocab, **options)
    LittleBirdEncoder(config).load_state_dict(
        {k.removeprefix("encoder."): v for k, v in state.items() if "lm_head" not in k}
    )
    head = LanguageModelHead(config.embed_dim, config.vocab_size, config.word_embed_dim)
    head.load_state_dict({k.removeprefix("lm_head."): v for k, v in state.items() if "lm_head" in k})


def test_pack_and_unpack_attention_are_the_source_s(source):
    _, state = student(source, vocabulary_of(source))
    for n in range(3):
        layer = f"encoder.layers.{n}."
        for part in ("weight", "bias"):
            for name in "qkv":
                wanted = source.state[f"{layer}attention.{name}.{part}"]
                assert torch.equal(state[f"{layer}attention.{name}.{part}"], wanted)
                assert torch.equal(state[f"{layer}pack_attention.{name}.{part}"], wanted)
            if n < 2:
                assert torch.equal(state[f"{layer}pack_norm.{part}"], source.state[f"{layer}attention_norm.{part}"])
        assert not state[f"{layer}attention.slopes.alpha"].any()
        for name in ("beta", "gamma"):
            assert state[f"{layer}attention.slopes.{name}"].tolist() == alibi_slopes(2)


def test_without_positions_the_tokens_keep_the_centre(source):
    """The norm reads what it reads on average over the source's positions; the output's softmax stays."""
    vocab = vocabulary_of(source)
    config, state = student(source, vocab)
    encoder = LittleBirdEncoder(config).eval()
    encoder.load_state_dict({k.removeprefix("encoder."): v for k, v in state.items() if "lm_head" not in k})
    original = source.state[f"{EMBEDDINGS}tokens.weight"]
    centre = source.state[f"{EMBEDDINGS}positions.weight"].mean(0)
    tokens = torch.arange(4, 20)[None]
    x = F.layer_norm(
        original[tokens] + centre,
        centre.shape,
        source.state[f"{EMBEDDINGS}norm.weight"],
        source.state[f"{EMBEDDINGS}norm.bias"],
        config.layer_norm_eps,
    )
    if encoder.embeddings.projection is not None:
        x = encoder.embeddings.projection(x)
    torch.testing.assert_close(encoder.embeddings(tokens), x)

    head = LanguageModelHead(config.embed_dim, config.vocab_size, config.word_embed_dim)
    head.load_state_dict({k.removeprefix("lm_head."): v for k, v in state.items() if "lm_head" in k})
    hidden = torch.randn(5, config.embed_dim, generator=torch.Generator().manual_seed(1))
    of_teacher, of_student = (head(hidden, s[f"{EMBEDDINGS}tokens.weight"]) for s in (teacher(source, vocab), state))
    assert not torch.allclose(of_teacher, of_student, atol=1e-2)
    torch.testing.assert_close(of_teacher.log_softmax(-1), of_student.log_softmax(-1), rtol=0, atol=1e-4)


def test_learned_positions_are_tiled(source):
    _, state = student(source, vocabulary_of(source), positions="learned", max_positions=200)
    there, now = source.state[f"{EMBEDDINGS}positions.weight"], state[f"{EMBEDDINGS}positions.weight"]
    assert torch.equal(now, torch.cat([there, there, there[:40]]))
    assert torch.equal(state[f"{EMBEDDINGS}tokens.weight"][:-2], source.state[f"{EMBEDDINGS}tokens.weight"][:-1])


def test_pack_vectors_look_like_what_the_first_layer_reads(source):
    """Each is a word as the encoder embeds it, by the seed."""
    vocab = vocabulary_of(source)
    config, state = student(source, vocab)
    encoder = LittleBirdEncoder(config).eval()
    encoder.load_state_dict({k.removeprefix("encoder."): v for k, v in state.items() if "lm_head" not in k})
    every = encoder.embeddings(torch.arange(4, config.vocab_size - 2)[None])[0]
    distance = torch.cdist(state["encoder.pack"], every, compute_mode="donot_use_mm_for_euclid_dist")
    assert distance.min(1).values.max() < 1e-5
    assert torch.equal(student(source, vocab)[1]["encoder.pack"], state["encoder.pack"])
    assert not torch.equal(student(source, vocab, seed=1)[1]["encoder.pack"], state["encoder.pack"])


def test_layers():
    assert spaced_layers(12, 12) == list(range(12))
    assert spaced_layers(12, 6) == [1, 3, 5, 7, 9, 11]
    assert spaced_layers(12, 1) == [11]
    for there in range(1, 25):
        for wanted in range(1, there + 1):
            chosen = spaced_layers(there, wanted)
            assert chosen == sorted({*chosen}) and len(chosen) == wanted and chosen[-1] == there - 1 and chosen[0] >= 0


def test_fewer_layers_are_the_chosen_ones(source):
    _, state = student(source, vocabulary_of(source), layers=[0, 2])
    out = "encoder.layers.{}.attention.out.weight"
    assert torch.equal(state[out.format(1)], source.state[out.format(2)])
    assert "encoder.layers.2.attention.out.weight" not in state and "encoder.layers.1.pack_norm.weight" not in state


def test_new_tokens(source):
    vocab = vocabulary_of(source, ["<p>", "</p>"])
    assert vocab.new == ["[QUESTION]", "<p>", "</p>"] and vocab.symbols[-1] == "<mask>"
    state = teacher(source, vocab)
    table, bias = state[f"{EMBEDDINGS}tokens.weight"], state["lm_head.bias"]
    known = source.state[f"{EMBEDDINGS}tokens.weight"]
    question, p, end = (vocab.symbols.index(word) for word in vocab.new)
    assert torch.equal(table[question], known[-1]) and torch.equal(table[-1], known[-1])
    assert not torch.equal(table[p], table[end])
    assert ((table[p] - known.mean(0)).abs() < 5 * known.std(0)).all()
    assert (bias[[question, p, end]] == source.state["lm_head.bias"].min()).all()
    assert torch.equal(bias[:question], source.state["lm_head.bias"][:-1])


def test_the_pieces_of_a_byte_bpe_stay_readable(hugging_face, tmp_path):
    """Recurring spans need what a piece says; a digit is a piece here, not the number of one."""
    main(["--from", str(hugging_face("RobertaModel")[1]), "--out", str(tmp_path / "out")])
    dictionary = load_dictionary(tmp_path / "out")
    vocab = vocabulary(dictionary, tmp_path / "out")
    assert [vocab.surfaces[dictionary.index(piece)] for piece in ("5", "Ġthe", "on")] == ["5", "the", "on"]


NUMBERS = {"<pad>": 0, "a": 1, "<unk>": 2, "<s>": 3, "</s>": 4, "<mask>": 5, "[unused0]": 6, "b": 7}


def test_the_order_of_the_dictionary():
    vocab = map_of_tokenizer(["a", "b"], NUMBERS, 8, ["a", "<p>"], "source")
    assert vocab.symbols == ["<s>", "<pad>", "</s>", "<unk>", "a", "b", "[QUESTION]", "<p>", "<mask>"]
    assert vocab.source_ids == [3, 0, 4, 2, 1, 7, None, None, 5]
    assert vocab.lines == ["a 1", "b 1", "[QUESTION] 0", "<p> 0"]
    assert vocab.unused == {6: "[unused0]"}


@pytest.mark.parametrize(
    "numbers, count, new, message",
    [
        (NUMBERS, 9, [], "8 tokens, the model 9"),
        (NUMBERS, 7, [], "8 tokens, the model 7"),
        ({k: v for k, v in NUMBERS.items() if k != "<mask>"}, 8, [], "no <mask>"),
        (NUMBERS, 8, ["a b"], "'a b'"),
    ],
)
def test_vocabularies_that_do_not_fit(numbers, count, new, message):
    with pytest.raises(UserError, match=message):
        map_of_tokenizer(["a", "b"], numbers, count, new, "source")


@pytest.mark.parametrize(
    "text, message", [("a 1\n", "6 tokens"), ("a 1\na 2\n", "twice: a"), ("a\nb 1\n", "line 1: 'a' is not")]
)
def test_dictionaries_that_do_not_fit(text, message):
    with pytest.raises(UserError, match=message):
        map_of_dictionary(text.encode(), 7, [], "source")


def test_xlm_roberta_counts_on_from_sentencepiece():
    pieces = {"<unk>": 0, "<s>": 1, "</s>": 2, ",": 3, "a": 4}
    assert xlm_roberta_numbers(pieces) == {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, ",": 4, "a": 5, "<mask>": 6}

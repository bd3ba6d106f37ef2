"""LittleBird as a fairseq model: what goes in, what comes out, and what a checkpoint of it holds."""

from __future__ import annotations

from argparse import Namespace
from types import SimpleNamespace

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
from omegaconf import OmegaConf

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.littlebird import LittleBirdModel, LittleBirdModelConfig

SIZES = {
    "encoder_layers": 2,
    "encoder_embed_dim": 16,
    "encoder_ffn_embed_dim": 24,
    "encoder_attention_heads": 2,
    "pack_size": 3,
    "block_size": 4,
}


def task(words: int = 20) -> SimpleNamespace:
    dictionary = Dictionary()
    for n in range(words - len(dictionary)):
        dictionary.add_symbol(f"w{n}")
    return SimpleNamespace(source_dictionary=dictionary)


def build(words: int = 20, **options) -> LittleBirdModel:
    torch.manual_seed(0)
    config = OmegaConf.structured(LittleBirdModelConfig(**(SIZES | options)))  # as fairseq passes it
    return LittleBirdModel.build_model(config, task(words)).eval()


def text(*shape):
    return torch.randint(4, 20, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("arch", "words", "millions"),
    [("littlebird_base", 50_265, 145), ("littlebird_base", 35_000, 133), ("littlebird_large", 35_000, 414)],
)
def test_parameter_totals_of_the_architectures(arch, words, millions):
    args = Namespace()
    ARCH_CONFIG_REGISTRY[arch](args)
    with torch.device("meta"):
        model = ARCH_MODEL_REGISTRY[arch].build_model(
            OmegaConf.structured(LittleBirdModelConfig(**vars(args))), task(words)
        )
    total = sum(p.numel() for p in model.encoder.parameters())
    assert abs(total / 1e6 - millions) <= 0.005 * millions


def test_an_architecture_leaves_what_the_command_line_says():
    args = Namespace(encoder_layers=7, pack_size=None)
    ARCH_CONFIG_REGISTRY["littlebird_tiny"](args)
    assert (args.encoder_layers, args.pack_size, args.encoder_embed_dim) == (7, 32, 64)


def test_what_comes_out():
    model, tokens = build(), text(2, 9)
    x, extra = model(tokens)
    assert x.shape == (2, 9, 20) and extra["inner_states"] is None
    hidden, extra = model(tokens, None, features_only=True, return_all_hiddens=True)
    assert hidden.shape == (2, 9, 16) and [s.shape for s in extra["inner_states"]] == [(2, 9, 16)] * 3
    assert torch.equal(extra["inner_states"][-1], hidden)
    masked = torch.zeros(2, 9, dtype=torch.bool)
    masked[0, 3] = masked[1, 8] = True
    torch.testing.assert_close(model(tokens, masked_tokens=masked)[0], x[masked])
    model.register_classification_head("kind", num_classes=5, inner_dim=8)
    assert model.eval()(tokens, src_lengths=torch.tensor([9, 9]), classification_head_name="kind")[0].shape == (2, 5)
    probabilities = model.get_normalized_probs((x, extra), log_probs=False)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(2, 9))


@pytest.mark.parametrize("kind", ["linear", "qass"])
def test_span_logits(kind):
    model, tokens = build(), text(2, 9)
    model.register_span_head(kind)
    questions, starts = torch.tensor([[1, 4, 0]] * 2), torch.tensor([[2, 3, 0]] * 2)
    hidden, extra = model(tokens, questions=questions, starts=starts, features_only=True)
    assert extra["start_logits"].shape == extra["end_logits"].shape == (2, 3, 9)
    torch.testing.assert_close(extra["end_logits"], model.span_head.end_logits(hidden, questions, starts))
    assert model.lm_head is None and not any(n.startswith("lm_head") for n in model.state_dict())


def test_position_ids_reach_every_layer():
    model, tokens = build(), text(2, 9)
    ids = torch.arange(9).repeat(2, 1)
    assert torch.equal(model(tokens)[0], model(tokens, positions=ids)[0])
    assert not torch.allclose(model(tokens)[0], model(tokens, positions=ids * 5)[0])


def test_batch_composition_never_matters():
    model, row = build(), text(1, 6)
    batch = torch.full((2, 15), 1)
    batch[0, :6], batch[1] = row[0], text(1, 15)[0]
    torch.testing.assert_close(model(batch)[0][0, :6], model(row)[0][0], rtol=1e-4, atol=1e-5)


def test_words_share_their_embeddings():
    model = build()
    assert sum(p.numel() for n, p in model.lm_head.named_parameters()) == 16 * 16 + 16 + 2 * 16 + 20


def test_state_knows_no_sequence_length():
    model = build()
    assert not list(model.buffers())
    model(text(1, 300))
    assert all(p.shape.numel() < 24 * 21 for p in model.state_dict().values())


def test_limits():
    assert build().max_positions() >= 2**20
    assert build(positions="learned", max_positions=77).max_positions() == 77


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"encoder_attention_heads": 3}, "3 attention heads do not divide a width of 16"),
        ({"pack_size": -4}, "pack size -4 is negative"),
        ({"block_size": 0}, "block size 0 is not positive"),
        ({"no_window": True, "pack_size": 0}, "leaves nothing to attend to"),
    ],
)
def test_sizes_that_do_not_fit_are_one_line(options, says):
    with pytest.raises(UserError, match=says) as caught:
        build(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the backend is there")
def test_training_with_a_backend_that_is_not_there_is_one_line():
    """At the first forward pass: a model is built, saved and loaded anywhere."""
    model = build(attention_backend="triton").train()
    with pytest.raises(
        UserError, match="^model options: attention backend 'triton' needs .*; choose another"
    ) as caught:
        model(text(2, 9))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the backend is there")
def test_a_trained_model_runs_without_its_backend(caplog):
    model, tokens = build(attention_backend="triton"), text(2, 9)
    assert torch.equal(model(tokens)[0], build()(tokens)[0])
    model(tokens)
    (message,) = [record.message for record in caplog.records if "'triton'" in record.message]
    assert "not cpu" in message and "'auto'" in message


class TestCheckpoints:
    def test_an_older_one_is_one_line(self):
        """Whose layers had the projections themselves."""
        model = build()
        state = {key.replace(".attention.", "."): value for key, value in model.state_dict().items()}
        says = "^the checkpoint: .*older version.*littlebird-warm-start"
        with pytest.raises(UserError, match=says) as caught:
            model.load_state_dict(state)
        assert "\n" not in str(caught.value)

    def test_a_round_trip(self):
        one, other = build(), build()
        for p in one.parameters():
            p.data.normal_()
        other.load_state_dict(one.state_dict())
        assert torch.equal(one(text(2, 9))[0], other(text(2, 9))[0])

    def test_a_pretrained_encoder_starts_question_answering(self):
        """Words out, span head in; everything else is taken over."""
        pretrained, qa_model = build(), build()
        pretrained.encoder.pack.data.fill_(3.0)
        qa_model.register_span_head("qass")
        start = qa_model.span_head.start_key.weight.clone()
        qa_model.load_state_dict(pretrained.state_dict())
        assert (qa_model.encoder.pack == 3).all() and torch.equal(qa_model.span_head.start_key.weight, start)

    def test_the_same_span_head_is_taken_over_and_another_starts_anew(self):
        source, same, other = build(), build(), build()
        for model, kind in ((source, "qass"), (same, "qass"), (other, "linear")):
            model.register_span_head(kind)
        source.span_head.start_key.weight.data.fill_(0.5)
        same.load_state_dict(source.state_dict())
        assert (same.span_head.start_key.weight == 0.5).all()
        before = other.span_head.start.weight.clone()
        other.load_state_dict(source.state_dict())
        assert torch.equal(other.span_head.start.weight, before)

    def test_a_model_that_is_not_to_be_trained_needs_its_heads(self):
        source, used = build(), build()
        used.used_for = "--task question_answering"
        used.register_span_head("qass")
        used.register_segment_head()
        used.register_answer_type_head(3)
        says = "span head.* sentences or paragraphs .* answer types .*--task question_answering"
        with pytest.raises(UserError, match=says):
            used.load_state_dict(source.state_dict())
        source.register_span_head("qass")
        source.register_segment_head()
        source.register_answer_type_head(2)
        with pytest.raises(UserError, match="has no head for answer types of the shape"):
            used.load_state_dict(source.state_dict())
        source.register_answer_type_head(3)
        used.load_state_dict(source.state_dict())

    def test_an_encoder_alone_has_no_random_lm_head(self):
        source, used = build(), build()
        source.lm_head = None
        used.used_for = "--task littlebird_masked_lm"
        used.load_state_dict(source.state_dict())
        tokens = text(2, 9)
        assert torch.equal(used(tokens, features_only=True)[0], source(tokens, features_only=True)[0])
        with pytest.raises(UserError, match="no LM head"):
            used(tokens, masked_tokens=tokens > 9)

    def test_classification_heads_of_another_size_start_anew(self):
        source, target = build(), build()
        source.register_classification_head("kind", num_classes=5)
        target.register_classification_head("kind", num_classes=2)
        target.load_state_dict(source.state_dict())
        assert target(text(1, 4), classification_head_name="kind")[0].shape == (1, 2)

    def test_another_dictionary_is_one_line(self):
        with pytest.raises(UserError, match="the checkpoint has 21 tokens, the dictionary 20"):
            build(20).load_state_dict(build(21).state_dict())

    def test_another_size_is_an_error(self):
        with pytest.raises((RuntimeError, UserError)):
            build().load_state_dict(build(encoder_ffn_embed_dim=32).state_dict())
        with pytest.raises((RuntimeError, UserError)):
            build().load_state_dict(build(encoder_layers=3).state_dict())


def test_slopes_are_a_parameter_group_of_their_own():
    groups = {name: getattr(parameter, "param_group", "default") for name, parameter in build().named_parameters()}
    slopes = {name for name in groups if name.rsplit(".", 1)[-1] in ("alpha", "beta", "gamma")}
    assert slopes and {name for name, group in groups.items() if group == "slopes"} == slopes

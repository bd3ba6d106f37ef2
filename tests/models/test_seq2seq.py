"""What holds for every encoder–decoder: its decoding, its batches, its padding, its shared parameters."""

from __future__ import annotations

import argparse
import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
from fairseq.sequence_generator import SequenceGenerator
from torch import Tensor

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.input_error import InputError
from fairseq_littlebird.layer_norm import LayerNorm
from fairseq_littlebird.models.beams import documents_of
from fairseq_littlebird.models.decoder_attention import CrossAttention

ARCHS = ("led_tiny", "littlebird_seq2seq_tiny", "bigbird_roberta_tiny", "bigbird_pegasus_tiny")
PAD, EOS = 1, 2


def dictionary(symbols: int = 40) -> Dictionary:
    made = Dictionary()
    for n in range(symbols):
        made.add_symbol(f"w{n}")
    return made


def build(arch: str, seed: int = 0, symbols: int = 40, **options: Any) -> Any:
    """A random model in evaluation mode."""
    chosen = argparse.Namespace(max_positions=512, decoder_max_positions=32)
    for name, value in options.items():
        setattr(chosen, name, value)
    ARCH_CONFIG_REGISTRY[arch](chosen)
    model = ARCH_MODEL_REGISTRY[arch]
    words = dictionary(symbols)
    torch.manual_seed(seed)
    task = SimpleNamespace(source_dictionary=words, target_dictionary=words)
    built = model.build_model(vars(model.config_class(**vars(chosen))), task).eval()
    for name, parameter in built.named_parameters():  # so that biases and norms have a part in what is compared
        if parameter.dim() == 1 and ".slopes." not in name:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return built


def batch(lengths: tuple[int, ...] = (101, 63, 7), symbols: int = 44) -> tuple[Tensor, Tensor]:
    """Documents that are padded on the right, and targets of 9 tokens."""
    source = torch.full((len(lengths), max(lengths)), PAD)
    for row, length in zip(source, lengths, strict=True):
        row[:length] = torch.randint(4, symbols, (length,))
    source[:, 0] = 0
    target = torch.randint(4, symbols, (len(lengths), 9))
    target[:, 0] = EOS
    return source, target


@pytest.fixture(params=ARCHS)
def model(request: pytest.FixtureRequest) -> Any:
    return build(request.param)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(1)


def test_decoding_step_by_step_is_the_forward_pass(model: Any) -> None:
    source, target = batch()
    whole, _ = model(source, None, target)
    encoder_out, state = model.encoder(source), {}
    steps = [model.decoder(target[:, : t + 1], encoder_out, incremental_state=state)[0] for t in range(9)]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, atol=2e-6, rtol=1e-5)


def test_every_norm_is_the_one_that_learns_in_half_precision(model: Any) -> None:
    norms = [module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert {type(norm) for norm in norms} == {LayerNorm} and len({norm.eps for norm in norms}) == 1


def test_a_document_of_a_batch_is_as_alone(model: Any) -> None:
    source, target = batch()
    together, _ = model(source, None, target)
    for n, length in enumerate((101, 63, 7)):
        alone, _ = model(source[n : n + 1, :length], None, target[n : n + 1])
        torch.testing.assert_close(together[n : n + 1], alone, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("width", [1, 30, 200])
def test_padding_on_the_right_changes_nothing(model: Any, width: int) -> None:
    source, target = batch()
    padded = torch.cat([source, torch.full((3, width), PAD)], dim=1)
    torch.testing.assert_close(model(padded, None, target)[0], model(source, None, target)[0], atol=2e-6, rtol=1e-5)


def test_padding_on_the_left_is_moved(model: Any) -> None:
    source, target = batch()
    left = torch.stack([row.roll(int(row.eq(PAD).sum())) for row in source])
    assert left[2, 0] == PAD
    torch.testing.assert_close(model(left, None, target)[0], model(source, None, target)[0], atol=2e-6, rtol=1e-5)


def test_global_tokens_move_with_padding_on_the_left() -> None:
    led = build("led_tiny")
    source, target = batch()
    chosen = torch.zeros_like(source).bool()
    chosen[:, [0, 5]] = True
    places = [int(row.eq(PAD).sum()) for row in source]
    left, named = (torch.stack([row.roll(n) for row, n in zip(x, places, strict=True)]) for x in (source, chosen))
    expected = led(source, None, target, global_tokens=chosen)[0]
    torch.testing.assert_close(led(left, None, target, global_tokens=named)[0], expected, atol=2e-6, rtol=1e-5)


def test_bigbird_roberta_shares_every_layer_whatever_layerdrop() -> None:
    """Where a decoder's layers may be skipped, to iterate over them skips some."""
    shared = build("bigbird_roberta_tiny", decoder_layerdrop=0.99)
    for number, layer in enumerate(shared.encoder.layers):
        assert shared.decoder.layers[number].fc1 is layer.ffn.fc1
        assert shared.decoder.layers[number].self_attn.q_proj is layer.attention.q


def test_the_target_is_read_from_the_left_alone(model: Any) -> None:
    source, target = batch()
    other = target.clone()
    other[:, 5:] = 4
    a, b = (model(source, None, tokens)[0] for tokens in (target, other))
    torch.testing.assert_close(a[:, :5], b[:, :5], atol=2e-6, rtol=1e-5)
    assert not torch.allclose(a[:, 5:], b[:, 5:], atol=1e-4)


def test_every_token_of_the_source_is_read(model: Any) -> None:
    source, target = batch((101,))
    other = source.clone()
    other[0, 90] = 4 + (source[0, 90] - 3) % 40
    assert not torch.allclose(model(source, None, target)[0], model(other, None, target)[0], atol=1e-5)


def generate(model: Any, source: Tensor, beam: int, **options: Any) -> list[list[dict[str, Any]]]:
    generator = SequenceGenerator([model], dictionary(), beam_size=beam, max_len_b=12, **options)
    return generator.generate([model], {"net_input": {"src_tokens": source, "src_lengths": source.ne(PAD).sum(1)}})


@pytest.mark.parametrize("beam", [1, 4])
def test_a_generated_text_of_a_batch_is_as_alone(model: Any, beam: int) -> None:
    source, _ = batch()
    for row, best in zip(source, generate(model, source, beam), strict=True):
        alone = generate(model, row[row != PAD][None], beam)[0]
        assert [hypothesis["tokens"].tolist() for hypothesis in best] == [h["tokens"].tolist() for h in alone]
        assert best[0]["score"] == pytest.approx(float(alone[0]["score"]), abs=1e-5)


def test_beams_that_end_at_different_times_go_on_with_their_own_document(model: Any) -> None:
    """Hypotheses are scored anew by a forward pass over their document, each."""
    source, _ = batch((101, 63, 7, 40))
    with torch.no_grad():  # scores further apart, and </s> as likely as the token that comes most often
        weight = model.decoder.embed_tokens.weight
        weight *= 5
        often = torch.cat([h["tokens"][:-1] for best in generate(model, source, 3) for h in best]).mode().values
        weight[EOS] = weight[often]
    hypotheses = generate(model, source, 3)
    lengths = {len(h["tokens"]) for best in hypotheses for h in best}
    assert len(lengths) > 1
    for row, best in zip(source, hypotheses, strict=True):
        for hypothesis in best:
            tokens = hypothesis["tokens"]
            before = torch.cat([torch.tensor([EOS]), tokens[:-1]])
            logits, _ = model(row[None], None, before[None])
            scores = logits[0].log_softmax(-1).gather(1, tokens[:, None]).squeeze(1)
            torch.testing.assert_close(hypothesis["positional_scores"], scores, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("beam", [2, 5])
def test_keys_of_a_document_are_kept_once_whatever_the_beam(model: Any, beam: int) -> None:
    source, _ = batch((101, 63, 7))
    encoder_out = model.encoder(source)
    rows = torch.arange(3).repeat_interleave(beam)
    expanded = model.encoder.reorder_encoder_out(encoder_out, rows)
    assert expanded["encoder_out"][0].data_ptr() == encoder_out["encoder_out"][0].data_ptr()
    state: dict[str, Any] = {}
    model.decoder(torch.full((3 * beam, 1), EOS), expanded, incremental_state=state)
    order = torch.arange(3 * beam).view(3, beam).flip(1).flatten()
    model.decoder.reorder_incremental_state_scripting(state, order)
    cross = [m for m in model.decoder.modules() if isinstance(m, CrossAttention)]
    kept = [m._get_input_buffer(state)["k"] for m in cross]
    C = model.cfg.encoder_embed_dim
    assert len(kept) == len(model.decoder.layers)
    assert sum(k.numel() for k in kept) == len(kept) * 3 * 101 * C
    again = model.encoder.reorder_encoder_out(expanded, order)
    assert again["encoder_out"][0].data_ptr() == encoder_out["encoder_out"][0].data_ptr()


def test_documents_of_beams() -> None:
    twice = torch.tensor([0, 0, 1, 1, 2, 2])
    assert documents_of(twice, 3, 0) == (None, 2)
    assert documents_of(torch.tensor([1, 0, 2, 2, 5, 4]), 3, 2) == (None, 2)
    kept, beams = documents_of(torch.tensor([1, 1, 4, 5]), 3, 2)
    assert kept is not None
    assert (kept.tolist(), beams) == ([0, 2], 2)
    kept, beams = documents_of(torch.tensor([2, 0]), 3, 0)
    assert kept is not None
    assert (kept.tolist(), beams) == ([2, 0], 0)


def test_training_after_a_search_is_as_before(model: Any) -> None:
    """fairseq's own attention would take later batches for beams."""
    source, target = batch((101, 63, 7, 40))
    before = model(source, None, target)[0]
    generate(model, source, 4)
    torch.testing.assert_close(model(source, None, target)[0], before)


def test_embeddings_are_one_table(model: Any) -> None:
    words = model.encoder.embeddings.tokens.weight
    assert model.decoder.embed_tokens.weight is words
    assert model.decoder.output_projection.weight is words


def test_every_parameter_gets_a_gradient(model: Any) -> None:
    source, target = batch()
    model.train()
    model(source, None, target)[0].float().log_softmax(-1)[..., 5].sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()] == []


def test_recomputed_activations_change_no_gradient(model: Any) -> None:
    source, target = batch()
    model.cfg.dropout = 0.0
    for module in model.modules():
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0
        if type(module).__name__ == "FairseqDropout":
            module.p = 0.0
    again = copy.deepcopy(model)
    again.encoder.layers.checkpoint_activations = True
    for layer in again.decoder.layers:
        layer.checkpoint = True
    for each in (model, again):
        each.train()
        each(source, None, target)[0].logsumexp(-1).sum().backward()
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_finite(model: Any, dtype: torch.dtype) -> None:
    source, target = batch()
    model.to(dtype).train()
    loss = model(source, None, target)[0].float().logsumexp(-1).sum()
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_autocast_is_finite_and_near(model: Any) -> None:
    source, target = batch()
    exact = model(source, None, target)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        near = model(source, None, target)[0]
    torch.testing.assert_close(near.float(), exact, atol=0.1, rtol=0.1)


def test_attention_is_given_where_a_layer_is_named(model: Any) -> None:
    source, target = batch()
    logits, extra = model(source, None, target, alignment_layer=1)
    attention = extra["attn"][0]
    assert attention.shape == (3, 9, 101)
    torch.testing.assert_close(attention.sum(-1), torch.ones(3, 9))
    assert not attention[2, :, 7:].any()
    torch.testing.assert_close(logits, model(source, None, target)[0], atol=2e-6, rtol=1e-5)


def test_two_dictionaries_are_an_error() -> None:
    one, other = dictionary(10), dictionary(11)
    model = ARCH_MODEL_REGISTRY["led_tiny"]
    with pytest.raises(UserError, match="--joined-dictionary"):
        model.build_model(vars(model.config_class()), SimpleNamespace(source_dictionary=one, target_dictionary=other))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder_attention_heads": 5}, "5 attention heads of the decoder do not divide a width of 64"),
        ({"word_embed_dim": 32}, "token embeddings of width 32"),
        ({"context_type": True}, "--context-type"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build("led_tiny", **options)


def test_a_target_past_the_positions(model: Any) -> None:
    source, _ = batch()
    with pytest.raises(InputError, match="33 target tokens are past the 32 positions"):
        model(source, None, torch.full((3, 33), 5))


def test_a_source_past_the_positions() -> None:
    with pytest.raises(InputError, match="position 99 is past the 64 learned ones"):
        build("led_tiny", max_positions=64)(torch.full((1, 100), 5), None, torch.full((1, 2), EOS))


@pytest.mark.parametrize("name", ["recurring_span_selection", "littlebird_masked_lm", "question_answering"])
def test_tasks_of_encoders_do_not_apply(name: str) -> None:
    words = dictionary(10)
    task = SimpleNamespace(
        cfg=SimpleNamespace(_name=name), source_dictionary=words, target_dictionary=words
    )  # fmt: skip
    model = ARCH_MODEL_REGISTRY["led_tiny"]
    with pytest.raises(UserError, match=f"--task {name} does not apply to an encoder–decoder"):
        model.build_model(vars(model.config_class()), task)


def test_attention_distillation_does_not_apply() -> None:
    from fairseq_littlebird.criterions.littlebird_distillation import (
        LittleBirdDistillationCriterion,
        LittleBirdDistillationCriterionConfig,
    )

    task = SimpleNamespace(target_dictionary=dictionary(10))
    with pytest.raises(UserError, match="no task to distil on"):
        LittleBirdDistillationCriterion(LittleBirdDistillationCriterionConfig(), task)


def test_cross_positions_tell_places_apart() -> None:
    """Two states of an encoder change places: without positions that changes nothing."""
    target = torch.tensor([[EOS, 5, 6]])
    for kind, differs in (("sinusoidal", True), ("none", False)):
        model = build("littlebird_seq2seq_tiny", cross_positions=kind)
        memory = torch.randn(5, 1, 64)
        swapped = memory[[0, 3, 2, 1, 4]]
        a, b = (model.decoder(target, {"encoder_out": [m], "encoder_padding_mask": []})[0] for m in (memory, swapped))
        assert torch.allclose(a, b, atol=1e-5) != differs, kind


def test_cross_positions_follow_the_gaps_of_padding_insertion() -> None:
    model = build("littlebird_seq2seq_tiny")
    source, target = batch((40,))
    plain = torch.arange(40)[None]
    gaps = plain + 100 * (plain > 20)
    none, same, moved = (model(source, None, target, positions=p)[0] for p in (None, plain, gaps))
    torch.testing.assert_close(none, same, atol=2e-6, rtol=1e-5)
    assert not torch.allclose(same, moved, atol=1e-4)
    memory = model.encoder(source, positions=gaps)
    keys = model.decoder.key_positions(memory)
    torch.testing.assert_close(keys[0, 30], model.decoder.key_positions(model.encoder(batch((140,))[0]))[0, 130])


def test_the_encoder_is_linear_in_the_length(model: Any, largest_tensor: Any) -> None:
    """No tensor grows with the square of L; a dense map of one head would have L² numbers."""
    largest = []
    for length in (256, 512):
        with largest_tensor() as seen, torch.no_grad():
            model.encoder(batch((length,))[0])
        largest.append(seen.numel)
    assert largest[1] <= 2.2 * largest[0]

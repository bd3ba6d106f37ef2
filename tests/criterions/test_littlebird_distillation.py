"""The distillation criterion with real models of a few tokens."""

from __future__ import annotations

import argparse
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fairseq.data import Dictionary
from fairseq.dataclass.utils import gen_parser_from_dataclass
from fairseq.distributed import ModuleProxyWrapper
from fairseq.logging import metrics
from fairseq.tasks.masked_lm import MaskedLMTask
from fairseq.utils import has_parameters
from omegaconf import OmegaConf

from fairseq_littlebird.attention.effective_attention import effective_attention, full_attention_probabilities
from fairseq_littlebird.criterions.layer_kl import layer_kl, sampled_queries
from fairseq_littlebird.criterions.littlebird_distillation import (
    LittleBirdDistillationCriterion,
    LittleBirdDistillationCriterionConfig,
    layer_map,
)
from fairseq_littlebird.criterions.logging_sums import logging_sums
from fairseq_littlebird.criterions.recurring_span_selection import selection_loss
from fairseq_littlebird.data.batch import span_batch
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.full_attention import FullAttentionModel, FullAttentionModelConfig
from fairseq_littlebird.models.littlebird import LittleBirdModel, LittleBirdModelConfig
from fairseq_littlebird.objectives.attention_alignment import attention_kl
from fairseq_littlebird.objectives.distillation import soft_target_kl
from fairseq_littlebird.objectives.span_selection import NO_QUESTION

SIZES = {
    "encoder_layers": 2,
    "encoder_embed_dim": 16,
    "encoder_ffn_embed_dim": 24,
    "encoder_attention_heads": 2,
    "max_positions": 24,
}


def build(cfg, task):
    kind = LittleBirdModel if isinstance(cfg, LittleBirdModelConfig) else FullAttentionModel
    return kind.build_model(OmegaConf.structured(cfg), task)


@pytest.fixture(scope="module")
def dictionary():
    dictionary = Dictionary()
    for n in range(40):
        dictionary.add_symbol(f"w{n}")
    return dictionary


@pytest.fixture(scope="module")
def task(dictionary):
    return MaskedLMTask(SimpleNamespace(seed=1), dictionary)


@pytest.fixture
def teacher(task):
    """A teacher whose attention is far from even."""
    torch.manual_seed(1)
    model = build(FullAttentionModelConfig(**SIZES), task)
    for layer in model.encoder.layers:
        layer.attention.q.weight.data *= 2
    return model.eval()


@pytest.fixture
def student(task):
    torch.manual_seed(2)
    cfg = LittleBirdModelConfig(**SIZES, pack_size=3, block_size=4)
    return build(cfg, task).eval()


@pytest.fixture
def saved(tmp_path):
    """Writes a model as fairseq does; returns the path."""

    def saved(model, name="full_attention"):
        history = {"criterion_name": "MaskedLmLoss", "optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 0}
        state = {
            "cfg": {
                "model": {**OmegaConf.to_container(OmegaConf.structured(model.cfg), enum_to_str=True), "_name": name},
                "task": {},
            },
            "args": None,
            "model": model.state_dict(),
            "optimizer_history": [history],
            "extra_state": {"train_iterator": {"epoch": 1}},
        }
        torch.save(state, tmp_path / "teacher.pt")
        return str(tmp_path / "teacher.pt")

    return saved


@pytest.fixture
def criterion(task, teacher, saved):
    def criterion(model=None, **options):
        cfg = LittleBirdDistillationCriterionConfig(teacher_path=saved(model or teacher), **options)
        return LittleBirdDistillationCriterion(cfg, task)

    return criterion


@pytest.fixture
def sample(dictionary):
    """Two sequences, one of them padded, with gaps in the positions; five masked tokens."""
    rng = torch.Generator().manual_seed(0)
    tokens = torch.randint(4, len(dictionary), (2, 13), generator=rng)
    tokens[1, 9:] = dictionary.pad()
    target = torch.full_like(tokens, dictionary.pad())
    for n, i in ((0, 1), (0, 7), (0, 12), (1, 0), (1, 8)):
        target[n, i] = tokens[n, i]
        tokens[n, i] = dictionary.unk()
    positions = torch.randint(1, 9, (2, 13), generator=rng).cumsum(1)
    net_input = {"src_tokens": tokens, "src_lengths": torch.tensor([13, 9]), "positions": positions}
    return {"net_input": net_input, "target": target, "ntokens": 22, "nsentences": 2}


@pytest.fixture
def spans(rows):
    """Two rows of 6 tokens; three questions and one; the first token cannot be selected."""
    own = rows(2, 6)
    selectable = [np.array([False] + [True] * 5)] * 2
    questions = [np.array([1, 2, 5]), np.array([3])]
    starts, ends = [np.array([3, 3, 2]), np.array([1])], [np.array([4, 5, 4]), np.array([1])]
    return span_batch([t + 4 for t in own.tokens], None, questions, starts, ends, selectable, pad_id=1)


def without_positions(sample):
    return {key: value for key, value in sample["net_input"].items() if key != "positions"}


def test_the_parts_of_masked_language_modelling(criterion, student, teacher, sample, dictionary):
    """Against both models run apart, with whole attention matrices."""
    ours = criterion(temperature=2.0, soft_weight=0.5, attention_weight=3.0, hard_weight=0.25)
    loss, weight, log = ours(student, sample)
    masked = sample["target"].ne(dictionary.pad())
    logits, extra = student(**sample["net_input"], masked_tokens=masked, return_attention_internals=True)
    with torch.no_grad():
        wanted, taught = teacher(**without_positions(sample), masked_tokens=masked, return_attention_internals=True)
    padding = sample["net_input"]["src_tokens"].eq(dictionary.pad())
    rows = [
        (full_attention_probabilities(t, padding), effective_attention(s, sample["net_input"]["positions"], padding, 4))
        for t, s in zip(taught["attention_internals"], extra["attention_internals"], strict=True)
    ]
    layers = [float(attention_kl(*pair, ~padding).detach()) for pair in rows]
    assert (weight, log["targets"], log["queries"]) == (22, 5, 22)
    assert [log["attention_kl_1"], log["attention_kl_2"]] == pytest.approx(layers, rel=1e-4)
    soft = float(soft_target_kl(logits, wanted, 2.0).detach())
    hard = float(F.cross_entropy(logits, sample["target"][masked], reduction="sum").detach())
    assert (log["soft_loss"], log["hard_loss"]) == pytest.approx((soft, hard), rel=1e-4)
    total = 22 * ((0.5 * soft + 0.25 * hard) / 5 + 3.0 * sum(layers) / 2 / 22)
    assert (float(loss.detach()), log["loss"]) == pytest.approx((total, total), rel=1e-4)
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in student.encoder.layers[0].attention.slopes.parameters())
    assert all(p.grad is None for p in ours.teacher.model.parameters())


def test_the_parts_of_spans(criterion, student, teacher, spans):
    for model in (student, teacher):
        model.register_span_head("qass")
    loss, N, log = criterion(hard_weight=1.0, attention_weight=0.0)(student, spans)
    _, ours = student(**spans["net_input"])
    _, theirs = teacher(**spans["net_input"])
    soft = 0.0
    for name in ("start_logits", "end_logits"):
        for n, q in ((0, 0), (0, 1), (0, 2), (1, 0)):
            soft += float(soft_target_kl(ours[name][n, q : q + 1, 1:], theirs[name][n, q : q + 1, 1:]).detach())
    gold = selection_loss(student, spans)
    assert (N, log["exact"], "queries" in log) == (4, int(gold.exact), False)
    hard = float((gold.start + gold.end).detach())
    assert (log["soft_loss"], log["hard_loss"]) == pytest.approx((soft, hard), rel=1e-4)
    assert float(loss.detach()) == pytest.approx(soft + hard, rel=1e-4)


def test_identical_models_have_nothing_to_learn(criterion, task, teacher, sample):
    """A window over everything, no pack stream, no bias, no positions: the student is its teacher."""
    teacher.encoder.embeddings.positions.weight.data.zero_()
    cfg = LittleBirdModelConfig(**SIZES, pack_size=0, block_size=16)
    student = build(cfg, task).eval()
    missing = torch.nn.Module.load_state_dict(student, teacher.state_dict(), strict=False)
    assert missing.unexpected_keys == ["encoder.embeddings.positions.weight"]
    assert all(".slopes." in key for key in missing.missing_keys)
    for layer in student.encoder.layers:
        for slope in layer.attention.slopes.parameters():
            slope.data.zero_()
    loss, N, log = criterion()(student, sample)
    for name in ("loss", "soft_loss", "attention_kl_1", "attention_kl_2"):
        assert log[name] == pytest.approx(0.0, abs=1e-4), name
    loss.backward()
    assert all(p.grad.abs().max() < 1e-3 for p in student.parameters() if p.grad is not None)


def test_the_student_learns_nothing_from_the_teacher_s_positions(criterion, student, sample):
    """The teacher never sees gaps; the student does."""
    gaps = criterion()(student, sample)[2]
    sample["net_input"].pop("positions")
    plain = criterion()(student, sample)[2]
    assert gaps["attention_kl_1"] != plain["attention_kl_1"]


@pytest.mark.parametrize("heads", ["paired", "mean"])
@pytest.mark.parametrize("options", [{}, {"pack_size": 0}, {"no_window": True}, {"positions": "none"}], ids=str)
def test_layers_equal_whole_matrices_in_every_ablation(task, teacher, sample, dictionary, options, heads, monkeypatch):
    import fairseq_littlebird.criterions.layer_kl as module

    lengths = iter([1, 5, 5])  # one sequence at a time, and five queries of each
    monkeypatch.setattr(module, "chunk_length", lambda elements, device: next(lengths))
    sizes = SIZES | {"pack_size": 3, "block_size": 4} | options
    student = build(LittleBirdModelConfig(**sizes), task).eval()
    net_input, config = sample["net_input"], student.encoder.config
    padding, positions = net_input["src_tokens"].eq(dictionary.pad()), net_input["positions"]
    assert len(padding) == 2
    ours = student(**net_input, return_attention_internals=True)[1]["attention_internals"][1]
    theirs = teacher(**without_positions(sample), return_attention_internals=True)[1]["attention_internals"][1]
    rows = full_attention_probabilities(theirs, padding, window=None if config.pack_size else 4)
    composed = effective_attention(ours, positions, padding, 4, config.window)
    wanted = attention_kl(rows, composed, ~padding, heads)
    got = layer_kl(theirs, ours, positions, padding, config, heads)
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)
    parameters = list(student.encoder.parameters())
    grads = (torch.autograd.grad(x, parameters, retain_graph=True, allow_unused=True) for x in (got, wanted))
    for mine, plain in zip(*grads, strict=True):
        if plain is not None:
            torch.testing.assert_close(mine, plain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("option", ["attention_queries", "attention_rows"])
def test_sampled_queries_cover_the_sequence_and_are_a_part_of_the_whole(criterion, student, sample, option):
    pieces = {(piece.start, piece.stop) for piece in (sampled_queries(13, 5) for _ in range(200))}
    assert pieces == {(0, 5), (5, 10), (10, 13)}
    assert sampled_queries(13, 0) == sampled_queries(13, 13) == slice(None)
    ours = criterion(**{option: 5}, soft_weight=0.0)
    whole = ours(student, sample)[2]  # validation takes all
    student.train()
    for module in student.modules():
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    parts = {}
    for _ in range(60):
        log = logging_sums([ours(student, sample)[2]])
        parts[log["attention_kl_1"]] = log["queries"]
    assert (sum(parts.values()), whole["queries"]) == (22, 22)
    assert sum(parts) == pytest.approx(whole["attention_kl_1"], rel=1e-4)


def test_the_older_name_of_an_option_is_not_in_the_help():
    parser = argparse.ArgumentParser()
    gen_parser_from_dataclass(parser, LittleBirdDistillationCriterionConfig())
    assert parser.parse_args(["--attention-rows", "5"]).attention_rows == 5
    assert "--attention-queries" in parser.format_help() and "--attention-rows" not in parser.format_help()


def test_half_precision_students(criterion, student, sample):
    """The gap to float32 is the half-precision student's own, not the alignment's."""
    wide = criterion()(student, sample)[2]
    loss, _, log = criterion()(student.bfloat16(), sample)
    assert loss.dtype == torch.float32
    assert log["attention_kl_2"] == pytest.approx(wide["attention_kl_2"], rel=0.05)
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in student.parameters())


def test_the_teacher_belongs_to_nobody(criterion, student, sample):
    """Not to a checkpoint, an optimizer or the other workers; and it never learns."""
    ours = criterion()
    assert not has_parameters(ours) and not ours.state_dict() and not list(ours.modules())[1:]
    ours.train()
    ours.half()
    ours(student.train(), sample)[0].backward()
    model = ours.teacher.model
    assert not any(m.training for m in model.modules())
    assert not any(p.requires_grad for p in model.parameters())
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_the_teacher_s_precision(criterion, student, sample):
    exact, half = (criterion(teacher_precision=p)(student, sample)[2] for p in ("float32", "bfloat16"))
    assert exact["soft_loss"] != half["soft_loss"]
    assert half["soft_loss"] == pytest.approx(exact["soft_loss"], rel=0.2)
    ours = criterion()
    assert ours.teacher.dtype(torch.device("cpu")) == torch.float32
    assert ours.teacher.dtype(torch.device("cuda")) in (torch.float16, torch.bfloat16)


def test_wrapped_students_are_known(criterion, student, sample):
    """As fairseq wraps a model for several workers."""

    class Wrapped(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, *args, **kwargs):
            return self.module(*args, **kwargs)

    wrapped = ModuleProxyWrapper(Wrapped(student)).eval()
    assert criterion()(student, sample)[2] == criterion()(wrapped, sample)[2]


def test_attention_alone_scores_no_tokens(criterion, student, teacher, sample):
    teacher.lm_head = None
    student.train()
    student.lm_head.forward = None
    loss, _, log = criterion(soft_weight=0.0)(student, sample)  # validation would score tokens for hard_loss
    assert log["targets"] == 5 and "soft_loss" not in log and "hard_loss" not in log
    assert float(loss.detach()) > 0


def test_hidden_states_are_those_of_unpadded_tokens(criterion, student, teacher, sample, dictionary):
    """Relative to the length of the teacher's; without targets, too, and without an LM head."""
    teacher.lm_head = None
    hidden = criterion(soft_weight=0.0, attention_weight=0.0, hidden_weight=2.0)
    empty = {**sample, "target": torch.full_like(sample["target"], dictionary.pad())}
    loss, weight, log = hidden(student, empty)
    ours, _ = student(**sample["net_input"], features_only=True)
    theirs, _ = teacher(**without_positions(sample), features_only=True)
    there = sample["net_input"]["src_tokens"] != dictionary.pad()
    distances = [
        float((x - y).detach().pow(2).sum() / y.detach().pow(2).sum())
        for x, y in zip(ours[there], theirs[there], strict=True)
    ]
    assert weight == 22 and float(log["hidden_loss"]) == pytest.approx(sum(distances), rel=1e-5)
    assert float(loss.detach()) == pytest.approx(2 * sum(distances), rel=1e-5)
    loss.backward()
    assert student.encoder.layers[1].ffn.fc2.weight.grad.any()
    with metrics.aggregate() as values:
        LittleBirdDistillationCriterion.reduce_metrics([log, log])
    assert values.get_smoothed_values()["hidden_loss"] == pytest.approx(sum(distances) / 22, abs=1e-4)


def test_hidden_states_beside_the_other_losses(criterion, student, teacher, sample, spans):
    """The parts add up, of masked tokens and of spans, and a model is at no distance from itself."""
    for batch in (sample, spans):
        if batch is spans:
            student.register_span_head("qass")
            teacher.register_span_head("qass")
        both, plain = (float(criterion(hidden_weight=w)(student, batch)[0].detach()) for w in (1.0, 0.0))
        _, _, log = criterion(hidden_weight=1.0)(student, batch)
        assert both == pytest.approx(plain + float(log["hidden_loss"]), rel=1e-5)
    itself = criterion(soft_weight=0.0, attention_weight=0.0, hidden_weight=1.0)(teacher, spans)[0]
    assert abs(float(itself.detach())) < 1e-6


def test_nothing_masked_costs_nothing_without_attention(criterion, student, sample, dictionary):
    sample["target"].fill_(dictionary.pad())
    loss, N, log = criterion(attention_weight=0.0)(student, sample)
    loss.backward()
    assert (float(loss.detach()), N, log["soft_loss"]) == (0.0, 0, 0.0)
    assert all(p.grad is None or not p.grad.any() for p in student.parameters())


@pytest.mark.parametrize("kind", ["tokens", "spans"])
def test_attention_is_learned_without_targets(criterion, student, teacher, sample, spans, dictionary, kind):
    """A batch without targets teaches what attention alone does: it is no part of the targets."""
    if kind == "spans":
        for model in (student, teacher):
            model.register_span_head("qass")
        batch = dict(spans)
        batch["target"] = {name: torch.full_like(spans["target"][name], NO_QUESTION) for name in ("starts", "ends")}
        batch |= {"question_index": torch.zeros(0, dtype=torch.int64), "questions": 0}
    else:
        batch = {**sample, "target": torch.full_like(sample["target"], dictionary.pad())}

    def gradients(**options):
        student.zero_grad()
        loss, weight, log = criterion(**options)(student, batch)
        (loss / weight).backward()
        assert log["targets"] == 0 and log["queries"] == weight == int(batch["net_input"]["src_lengths"].sum())
        return {name: p.grad for name, p in student.named_parameters() if p.grad is not None and p.grad.any()}

    both, alone = gradients(), gradients(soft_weight=0.0)
    assert any(".slopes." in name for name in alone) and both.keys() == alone.keys()
    assert all(torch.allclose(both[name], alone[name], atol=1e-7) for name in alone)


def test_batches_of_an_update_count_by_their_tokens(criterion, student, sample, dictionary):
    """So that attention is the mean over all queries of the update, with targets or without."""
    empty = {**sample, "target": torch.full_like(sample["target"], dictionary.pad())}
    ours = criterion(soft_weight=0.0, attention_weight=2.0)
    (first, weight, log), (second, other, _) = ours(student, sample), ours(student, empty)
    mean = 2.0 * (log["attention_kl_1"] + log["attention_kl_2"]) / 2 / log["queries"]
    assert float((first + second).detach()) / (weight + other) == pytest.approx(mean, rel=1e-5)


def test_logs_plain_numbers_only(criterion, student, sample):
    """A numpy scalar in a checkpoint's meters would stop safe loading."""
    _, size, log = criterion(hard_weight=1.0)(student, sample)
    assert {type(value) for value in log.values()} <= {int, float} and type(size) is int


def test_reduction_is_a_mean_over_targets_and_queries():
    logs = [
        {
            "loss": 3.0,
            "soft_loss": 2.0,
            "attention_kl_1": 6.0,
            "attention_kl_2": 0.0,
            "queries": 10,
            "sample_size": 10,
            "targets": 2,
        },
        {
            "loss": 5.0,
            "soft_loss": 1.0,
            "attention_kl_1": 9.0,
            "attention_kl_2": 5.0,
            "queries": 30,
            "sample_size": 30,
            "targets": 6,
        },
        {"loss": 4.0, "attention_kl_1": 2.0, "attention_kl_2": 1.0, "queries": 8, "sample_size": 8, "targets": 0},
    ]
    logs[1]["exact"] = 3
    with metrics.aggregate() as values:
        LittleBirdDistillationCriterion.reduce_metrics(logs)
    got = values.get_smoothed_values()
    assert got["loss"] == pytest.approx(12 / 48 / math.log(2), abs=1e-3)
    assert got["soft_loss"] == pytest.approx(3 / 8 / math.log(2), abs=1e-3)
    assert got["attention_kl_1"] == pytest.approx(17 / 48 / math.log(2), abs=1e-4)
    assert got["attention_loss"] == pytest.approx(23 / 2 / 48 / math.log(2), abs=1e-4)
    assert got["accuracy"] == 37.5 and "hard_loss" not in got


@pytest.mark.parametrize(
    ("text", "layers", "teachers", "wanted"),
    [
        ("", 3, 3, [1, 2, 3]),
        ("", 3, 6, [2, 4, 6]),
        ("", 4, 6, [2, 3, 5, 6]),
        ("", 1, 12, [12]),
        ("", 4, 2, [1, 1, 2, 2]),
        ("6, 1", 2, 6, [6, 1]),
    ],
)
def test_layer_maps(text, layers, teachers, wanted):
    assert layer_map(text, layers, teachers) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [("1", "1 layers"), ("1,2,9", "1 to 6"), ("0,1,2", "1 to 6"), ("a,b,c", "expected a list of numbers")],
)
def test_odd_layer_maps(text, says):
    with pytest.raises(UserError, match=says):
        layer_map(text, 3, 6)


def test_a_layer_map_is_followed(criterion, student, sample):
    straight, crossed = (criterion(layer_map=text)(student, sample)[2] for text in ("", "2,1"))
    assert straight["attention_kl_1"] != crossed["attention_kl_1"]
    assert straight["soft_loss"] == crossed["soft_loss"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"teacher_path": ""}, "--teacher-path"),
        ({"teacher_path": "nowhere.pt"}, "nowhere.pt: no such checkpoint"),
        ({"temperature": 0.0}, "--temperature: 0.0 is not positive"),
        ({"soft_weight": 0.0, "attention_weight": 0.0}, "nothing to distil"),
        ({"hidden_weight": -1.0}, "negative"),
        ({"hard_weight": -1.0}, "negative"),
    ],
)
def test_odd_options(task, options, says):
    with pytest.raises(UserError, match=says):
        LittleBirdDistillationCriterion(LittleBirdDistillationCriterionConfig(**options), task)


def test_teachers_that_are_none(task, criterion, student, teacher, saved, tmp_path):
    def load(path, task=task):
        LittleBirdDistillationCriterion(LittleBirdDistillationCriterionConfig(teacher_path=str(path)), task)

    with pytest.raises(UserError, match="a checkpoint of littlebird, not of full attention; .*--to full"):
        load(saved(student, "littlebird"))
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    with pytest.raises(UserError, match="broken.pt: not a readable checkpoint"):
        load(tmp_path / "broken.pt")
    longer = Dictionary()
    longer.add_symbol("w0")
    with pytest.raises(UserError, match="45 tokens.* 6"):
        load(saved(teacher), MaskedLMTask(SimpleNamespace(seed=1), longer))
    teacher.encoder.layers[1].ffn.fc1.bias = None
    with pytest.raises(UserError, match="fc1.bias"):
        load(saved(teacher))
    with pytest.raises(UserError, match="--task"):
        load(saved(teacher), SimpleNamespace())


def test_soft_targets_alone_go_into_any_encoder(criterion, teacher, sample):
    soft = criterion(attention_weight=0)
    del sample["net_input"]["positions"]  # full attention has no gaps
    assert abs(float(soft(teacher, sample)[0].detach())) < 1e-5  # its own student
    with torch.no_grad():
        teacher.encoder.layers[0].attention.q.weight.mul_(-3)
    assert float(soft(teacher, sample)[0].detach()) > 1e-3


def test_teachers_that_do_not_fit(task, criterion, student, teacher, sample, spans, dictionary):
    with pytest.raises(UserError, match="--arch of full attention: .*--attention-weight 0"):
        criterion()(teacher, sample)
    with pytest.raises(UserError, match="span head.*--soft-weight 0"):
        student.register_span_head("qass")
        criterion()(student, spans)
    teacher.lm_head = None
    with pytest.raises(UserError, match="LM head"):
        criterion()(student, sample)
    long = torch.full((1, 25), 5)
    batch = {"net_input": {"src_tokens": long}, "target": long, "ntokens": 25, "nsentences": 1}
    with pytest.raises(UserError, match="25 tokens.* 24 .*--tokens-per-sample by 1"):
        criterion(soft_weight=0.0)(student, batch)
    for change, says in (
        ({"encoder_attention_heads": 4}, "4 heads, the teacher 2"),
        ({"encoder_layerdrop": 0.5}, "drop"),
    ):
        cfg = LittleBirdModelConfig(**SIZES | change, pack_size=3, block_size=4)
        other = build(cfg, task)
        with pytest.raises(UserError, match=says):
            criterion(soft_weight=0.0)(other, sample)
    wide = build(LittleBirdModelConfig(**SIZES | {"encoder_embed_dim": 24}, pack_size=3, block_size=4), task)
    with pytest.raises(UserError, match="24 channels, the teacher's 16; .*--hidden-weight 0"):
        criterion(soft_weight=0.0, hidden_weight=1.0)(wide, sample)
    cfg = LittleBirdModelConfig(**SIZES | {"encoder_attention_heads": 4}, pack_size=3, block_size=4)
    criterion(soft_weight=0.0, attention_heads="mean")(build(cfg, task), sample)

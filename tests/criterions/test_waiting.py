"""A training step asks the device nothing: the host would wait for all that the device has yet to do."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary
from fairseq.tasks.masked_lm import MaskedLMTask
from fairseq.tasks.sentence_prediction import SentencePredictionTask
from omegaconf import OmegaConf

from fairseq_littlebird.criterions.indexed_masked_lm import IndexedMaskedLmLoss
from fairseq_littlebird.criterions.littlebird_classification import (
    LittleBirdClassificationCriterion,
    LittleBirdClassificationCriterionConfig,
)
from fairseq_littlebird.criterions.littlebird_distillation import (
    LittleBirdDistillationCriterion,
    LittleBirdDistillationCriterionConfig,
)
from fairseq_littlebird.criterions.masked_lm_nsp import MaskedLMNSPCriterion, MaskedLMNSPCriterionConfig
from fairseq_littlebird.criterions.question_answering import (
    QuestionAnsweringCriterion,
    QuestionAnsweringCriterionConfig,
)
from fairseq_littlebird.criterions.recurring_span_selection import (
    RecurringSpanSelectionCriterion,
    RecurringSpanSelectionCriterionConfig,
)
from fairseq_littlebird.data.batch import indices_not_equal, span_batch
from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.models.full_attention import FullAttentionModel, FullAttentionModelConfig
from fairseq_littlebird.models.littlebird import LittleBirdModel, LittleBirdModelConfig
from fairseq_littlebird.models.teacher import Teacher

SIZES = {
    "encoder_layers": 2,
    "encoder_embed_dim": 16,
    "encoder_ffn_embed_dim": 24,
    "encoder_attention_heads": 2,
    "max_positions": 24,
}
L, C = 13, 3


@pytest.fixture(scope="module")
def words():
    dictionary = Dictionary()
    for n in range(40):
        dictionary.add_symbol(f"w{n}")
    return dictionary


@pytest.fixture
def task(words):
    return MaskedLMTask(SimpleNamespace(seed=1), words)


@pytest.fixture
def model(task):
    torch.manual_seed(2)
    options = {"pack_size": 3, "block_size": 4, "attention_backend": "unfolded", "dropout": 0.1}
    return LittleBirdModel.build_model(OmegaConf.structured(LittleBirdModelConfig(**SIZES, **options)), task).train()


@pytest.fixture
def masked(words):
    """Two sequences, one of them padded, with gaps in the positions; five masked tokens."""
    rng = torch.Generator().manual_seed(0)
    tokens = torch.randint(4, len(words), (2, L), generator=rng)
    tokens[1, 9:] = words.pad()
    target = torch.full_like(tokens, words.pad())
    for n, i in ((0, 1), (0, 7), (0, 12), (1, 0), (1, 8)):
        target[n, i], tokens[n, i] = tokens[n, i], words.unk()
    positions = torch.randint(1, 9, (2, L), generator=rng).cumsum(1)
    counted = {"unpadded": indices_not_equal(tokens, words.pad()), "masked": indices_not_equal(target, words.pad())}
    net_input = {"src_tokens": tokens, "src_lengths": torch.tensor([L, 9]), "positions": positions}
    return {"net_input": net_input, "target": target, "ntokens": 22, "nsentences": 2} | counted


def spans(noisy=False):
    """Two rows of 13 and 9 tokens; two questions, and one."""
    tokens = [np.arange(4, 4 + L), np.arange(7, 16)]
    questions, starts = [np.array([1, 2]), np.array([1])], [np.array([3, 5]), np.array([4])]
    sample = span_batch(tokens, None, questions, starts, starts, [t > 5 for t in tokens], pad_id=1)
    if noisy:
        gold = torch.zeros(2, L, dtype=torch.bool)
        gold[0, [3, 5]] = gold[1, 4] = True
        sample["target"] |= {"owners": torch.tensor([0, 1]), "gold_starts": gold}
    sample["net_input"]["context_starts"] = torch.tensor([2, 2])
    return sample


def with_segments(sample):
    sample["net_input"]["segments"] = torch.tensor([[[2, 4], [5, 7]], [[2, 4], [0, 0]]])
    sample["target"] |= {"segments": torch.tensor([[1, 0], [0, -1]]), "answer_types": torch.tensor([1, -100])}
    return sample


def steps(task, model, masked, words):
    """By name: a criterion, a model and a batch, as each task makes them."""
    teacher = FullAttentionModel.build_model(OmegaConf.structured(FullAttentionModelConfig(**SIZES)), task)
    teacher.register_span_head("qass")

    def question_answering(dataset):
        own = SimpleNamespace(dataset_spec=DATASETS[dataset], max_answer_length=9)
        return QuestionAnsweringCriterion(QuestionAnsweringCriterionConfig(), own)

    def distillation(**options):
        made = LittleBirdDistillationCriterion.__new__(LittleBirdDistillationCriterion)
        torch.nn.Module.__init__(made)
        made.padding_idx = words.pad()
        made.cfg, made.teacher = LittleBirdDistillationCriterionConfig(hard_weight=1.0, **options), Teacher(teacher)
        return made

    def classification(kind):
        own = SentencePredictionTask(SimpleNamespace(num_classes=C, problem_type=kind), words, words)
        return LittleBirdClassificationCriterion(LittleBirdClassificationCriterionConfig(), own)

    texts = {key: value for key, value in masked.items() if key != "masked"}
    several = torch.tensor([[1.0, 0, 1], [0, 1, 0]])
    tokens_teacher = FullAttentionModel.build_model(OmegaConf.structured(FullAttentionModelConfig(**SIZES)), task)
    pairs_task = MaskedLMTask(SimpleNamespace(seed=1), words)
    pairs_task.predicts_next_sentence = True
    starts = {"context_starts": torch.tensor([4, 3])}
    pairs = masked | {"net_input": masked["net_input"] | starts, "is_next": torch.tensor([1, 0]), "bases": 31}
    of_tokens = distillation(attention_queries=5)
    of_tokens.teacher = Teacher(tokens_teacher)
    return {
        "masked_lm": (IndexedMaskedLmLoss(SimpleNamespace(tpu=False), task), masked, None),
        "pairs of DNA": (MaskedLMNSPCriterion(MaskedLMNSPCriterionConfig(), pairs_task), pairs, "next sentence"),
        "recurring spans": (
            RecurringSpanSelectionCriterion(RecurringSpanSelectionCriterionConfig(), task), spans(), "qass",
        ),
        "questions": (question_answering("squad"), spans(), "linear"),
        "noisy questions": (question_answering("triviaqa"), spans(noisy=True), "linear"),
        "questions with evidence": (question_answering("hotpotqa"), with_segments(spans()), "linear"),
        "long answers": (question_answering("natural_questions"), with_segments(spans()), "linear"),
        "distillation of words": (of_tokens, masked, None),
        "distillation of spans": (distillation(), spans(), "qass"),
        "one label": (classification("single_label"), texts | {"target": torch.tensor([[1], [2]])}, "labels"),
        "several labels": (classification("multi_label"), texts | {"target": several}, "labels"),
        "scores": (classification("regression"), texts | {"target": several}, "labels"),
    }  # fmt: skip


NAMES = [
    "masked_lm", "pairs of DNA", "recurring spans", "questions", "noisy questions", "questions with evidence",
    "long answers", "distillation of words", "distillation of spans", "one label", "several labels", "scores",
]  # fmt: skip


@pytest.fixture(params=NAMES)
def step(request, task, model, masked, words):
    made = steps(task, model, masked, words)
    assert set(made) == set(NAMES)
    criterion, sample, head = made[request.param]
    if head == "labels":
        model.register_classification_head("sentence_classification_head", num_classes=C)
    elif head == "next sentence":
        model.register_next_sentence_head()
    elif head:
        model.register_span_head(head)
    if "segments" in sample["net_input"]:
        model.register_segment_head()
        model.register_answer_type_head(5)
    criterion.train()
    return criterion, model, sample


def test_no_step_waits_for_the_device(step, waits):
    criterion, model, sample = step
    loss, _, _ = criterion(model, sample)  # once before: buffers are made
    with waits() as found:
        loss, size, log = criterion(model, sample)
        loss.backward()
    assert found.found == []
    assert type(size) is int and loss.isfinite()
    assert any(p.grad is not None and p.grad.any() for p in model.parameters())


def test_waiting_is_found(waits):
    """What the test above looks for."""
    x = torch.arange(4.0)
    with waits() as found:
        float(x.sum()), x[x > 1], x.nonzero(), bool((x > 1).any()), x.long().bincount(), x.unique()
    assert found.found == [
        "_local_scalar_dense", "index", "nonzero", "_local_scalar_dense", "bincount", "_unique2",
    ]  # fmt: skip


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no device to wait for")
def test_no_step_waits_on_a_device(step):
    from fairseq.utils import move_to_cuda

    criterion, model, sample = step
    criterion, model, sample = criterion.cuda(), model.cuda(), move_to_cuda(sample)
    criterion(model, sample)[0].backward()  # once before: kernels are compiled
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        criterion(model, sample)[0].backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_masked_tokens_cost_what_fairseq_says(task, model, masked):
    """The loss, its gradients and the log."""
    from fairseq.criterions.masked_lm import MaskedLmLoss

    model.eval()
    found = []
    for kind in (IndexedMaskedLmLoss, MaskedLmLoss):
        model.zero_grad()
        given = masked if kind is IndexedMaskedLmLoss else {k: v for k, v in masked.items() if k != "unpadded"}
        loss, size, log = kind(SimpleNamespace(tpu=False), task)(model, given)
        loss.backward()
        found.append((loss.detach(), int(size), {k: float(v) for k, v in log.items()}, model.lm_head.bias.grad.clone()))
    (one, size, log, grad), (other, its_size, its_log, its_grad) = found
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(grad, its_grad)
    assert size == its_size == 5 and log == pytest.approx(its_log)
    assert IndexedMaskedLmLoss.__name__ == "MaskedLmLoss"  # fairseq's checkpoints go on with it


def test_a_batch_without_masked_tokens_costs_nothing(task, model, masked, words):
    empty = masked | {"masked": masked["masked"][:0], "target": torch.full_like(masked["target"], words.pad())}
    loss, size, _ = IndexedMaskedLmLoss(SimpleNamespace(tpu=False), task)(model, empty)
    loss.backward()
    assert float(loss.detach()) == size == 0

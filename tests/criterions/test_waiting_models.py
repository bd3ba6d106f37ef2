"""A training step of any model asks the device nothing that the collater can tell."""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq.criterions.cross_entropy import CrossEntropyCriterion
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
from fairseq.tasks.masked_lm import MaskedLMTask
from fairseq.tasks.sentence_prediction import SentencePredictionTask

from fairseq_littlebird.attention import bigbird
from fairseq_littlebird.criterions.indexed_masked_lm import IndexedMaskedLmLoss
from fairseq_littlebird.criterions.littlebird_classification import (
    LittleBirdClassificationCriterion,
    LittleBirdClassificationCriterionConfig,
)
from fairseq_littlebird.criterions.question_answering import (
    QuestionAnsweringCriterion,
    QuestionAnsweringCriterionConfig,
)
from fairseq_littlebird.criterions.recurring_span_selection import (
    RecurringSpanSelectionCriterion,
    RecurringSpanSelectionCriterionConfig,
)
from fairseq_littlebird.data.batch import indices_not_equal, pad, span_batch, with_counts
from fairseq_littlebird.data.summarization_dataset import SummarizationDataset, Tokens
from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.models import seq2seq_encoder

SIZES = {"embed_dim": 16, "ffn_embed_dim": 24, "attention_heads": 2, "layers": 2}
ENCODERS = {
    "bigbird_itc_tiny": {"block_size": 4, "max_positions": 32},
    "bigbird_etc_tiny": {"global_tokens": 3, "local_radius": 4},
    "longformer_tiny": {"attention_window": "4", "max_positions": 32},
}
SEQ2SEQ = {
    "led_tiny": {"attention_window": "4"},
    "bigbird_pegasus_tiny": {"block_size": 4},
    "bigbird_roberta_tiny": {"block_size": 4},
    "littlebird_seq2seq_tiny": {"block_size": 4, "pack_size": 3, "attention_backend": "unfolded"},
}
LANGUAGE_MODELS = {
    "longformer_lm_small": {"attention_window": "4"},
    "littlebird_lm_small": {"block_size": 4},
}
LENGTHS = (29, 13)  # less than three quarters: tokens without padding go from layer to layer


@pytest.fixture(scope="module")
def words():
    dictionary = Dictionary()
    for n in range(40):
        dictionary.add_symbol(f"w{n}")
    return dictionary


@pytest.fixture(autouse=True)
def _as_on_a_device(monkeypatch):
    """What the CPU has kernels of its own for, which ask as they please."""
    monkeypatch.setattr(bigbird, "blockwise_bigbird_attention", bigbird.gathered_bigbird_attention)


def build(arch, words, side="encoder", **options):
    sizes = {f"{side}_{name}": size for name, size in SIZES.items()}
    chosen = argparse.Namespace(**sizes, **options)
    ARCH_CONFIG_REGISTRY[arch](chosen)
    model = ARCH_MODEL_REGISTRY[arch]
    task = SimpleNamespace(source_dictionary=words, target_dictionary=words)
    torch.manual_seed(2)
    return model.build_model(vars(model.config_class(**vars(chosen))), task).train()


def texts(words):
    rng = np.random.default_rng(0)
    return [np.concatenate([[0], rng.integers(4, len(words), n - 1)]) for n in LENGTHS]


def of_tokens(words, **own):
    tokens = pad(texts(words), words.pad())
    net_input = {"src_tokens": tokens, "src_lengths": torch.tensor(LENGTHS)}
    counted = {"unpadded": indices_not_equal(tokens, words.pad()), "lengths": list(LENGTHS)}
    return {"net_input": net_input, "ntokens": sum(LENGTHS), "nsentences": 2} | counted | own


def masked(words):
    target = torch.full((2, max(LENGTHS)), words.pad())
    target[0, [3, 20]], target[1, 5] = 7, 9
    return of_tokens(words, target=target, masked=indices_not_equal(target, words.pad()))


def spans(words, contexts=False):
    """Two questions, and one."""
    questions, starts = [np.array([1, 2]), np.array([1])], [np.array([13, 25]), np.array([4])]
    sample = span_batch(texts(words), None, questions, starts, starts, [t > 3 for t in texts(words)], words.pad())
    if contexts:
        sample["net_input"]["context_starts"], sample["last_context_start"] = torch.tensor([4, 3]), 4
    return sample


def step(kind, words, model):
    """A criterion, and a batch as the collater makes it."""
    task = MaskedLMTask(SimpleNamespace(seed=1), words)
    if kind == "masked tokens":
        return IndexedMaskedLmLoss(SimpleNamespace(tpu=False), task), masked(words)
    if kind == "recurring spans":
        model.register_span_head("qass")
        return RecurringSpanSelectionCriterion(RecurringSpanSelectionCriterionConfig(), task), spans(words)
    if kind == "questions":
        model.register_span_head("linear")
        own = SimpleNamespace(dataset_spec=DATASETS["squad"], max_answer_length=9)
        return QuestionAnsweringCriterion(QuestionAnsweringCriterionConfig(), own), spans(words, contexts=True)
    model.register_classification_head("sentence_classification_head", num_classes=3)
    own = SentencePredictionTask(SimpleNamespace(num_classes=3, problem_type="single_label"), words, words)
    criterion = LittleBirdClassificationCriterion(LittleBirdClassificationCriterionConfig(), own)
    return criterion, of_tokens(words, target=torch.tensor([[1], [2]]))


def summaries(words):
    rng = np.random.default_rng(1)
    documents = [torch.tensor([*text[:-1], words.eos()]) for text in texts(words)]
    written = [torch.tensor([*rng.integers(4, len(words), n), words.eos()]) for n in (5, 3)]
    sides = (Tokens(items, [len(item) for item in items]) for items in (documents, written))
    dataset = SummarizationDataset(*sides, words, words.eos(), training=True)
    return dataset.collater([dataset[0], dataset[1]])


def assert_does_not_wait(waits, criterion, model, sample):
    criterion(model.train(), sample)  # once before: buffers are made
    with waits() as found:
        loss, _, _ = criterion(model, sample)
        loss.backward()
    assert found.found == []
    assert loss.isfinite() and any(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("kind", ["masked tokens", "recurring spans", "questions", "labels"])
@pytest.mark.parametrize("arch", ENCODERS)
def test_encoders(words, waits, arch, kind):
    model = build(arch, words, **ENCODERS[arch])
    assert_does_not_wait(waits, *(lambda criterion, sample: (criterion, model, sample))(*step(kind, words, model)))


def test_structured_input(words, waits):
    """Two sentences of a sequence, and one: padding among the global tokens too."""
    model = build("bigbird_etc_tiny", words, structured_input=True, **ENCODERS["bigbird_etc_tiny"])
    criterion, sample = step("questions", words, model)
    tokens = sample["net_input"]["src_tokens"]
    owners = torch.full((*tokens.shape, 2), -1)
    owners[:, 4:13, 0], owners[0, 13:, 0] = 1, 2
    sample["net_input"] |= {
        "global_kinds": torch.tensor([[0, 3, 3], [0, 3, -1]]),
        "global_groups": torch.tensor([[0, 1, 1], [0, 1, -1]]),
        "global_owners": owners,
        "global_mentions": torch.full_like(tokens, -1),
    }
    assert_does_not_wait(waits, criterion, model, sample)
    told, untold = model.eval(), {k: v for k, v in sample.items() if k != "unpadded"}
    losses = [criterion(told, given)[0] for given in (sample, untold)]
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-5)
    with waits() as asked:
        criterion(model, untold)
    assert asked.found


@pytest.mark.parametrize("arch", SEQ2SEQ)
def test_encoder_decoders(words, waits, arch):
    model = build(arch, words, max_positions=64, decoder_max_positions=16, **SEQ2SEQ[arch])
    task = SimpleNamespace(target_dictionary=words)
    assert_does_not_wait(
        waits, LabelSmoothedCrossEntropyCriterion(task, False, 0.1), model, told(summaries(words), model)
    )


@pytest.mark.parametrize("arch", LANGUAGE_MODELS)
def test_language_models(words, waits, arch):
    model = build(arch, words, side="decoder", max_positions=64, **LANGUAGE_MODELS[arch])
    sample = {k: v for k, v in of_tokens(words).items() if k != "lengths"}  # as the task's data set has it
    sample["target"] = sample["net_input"]["src_tokens"].roll(-1, 1)
    task = SimpleNamespace(target_dictionary=words)
    assert_does_not_wait(waits, CrossEntropyCriterion(task, False), model, told(sample, model))


def told(sample, model):
    """As a task's training step gives a batch to fairseq's criterion."""
    given = with_counts(sample, model)
    assert "unpadded" in given["net_input"] and "unpadded" not in sample["net_input"]
    assert with_counts(sample, torch.nn.Linear(1, 1)) is sample  # fairseq's own models take no counts
    return given


@pytest.mark.parametrize("arch", ENCODERS)
@pytest.mark.parametrize("kind", ["masked tokens", "recurring spans", "questions", "labels"])
def test_what_is_told_changes_nothing_else(words, waits, arch, kind):
    """The loss and its gradients, against those of a batch whose padding the model counts, and waits for, itself."""
    model = build(arch, words, dropout=0.0, attention_dropout=0.0, **ENCODERS[arch])
    criterion, sample = step(kind, words, model)
    untold = {k: v for k, v in sample.items() if k not in ("unpadded", "lengths", "last_context_start")}
    found = []
    for given in (sample, untold):
        model.zero_grad()
        loss, _, _ = criterion(model, given)
        loss.backward()
        found.append([loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    with waits() as asked:
        criterion(model, untold)
    assert asked.found
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("arch", SEQ2SEQ)
def test_what_is_told_of_documents_changes_nothing(words, arch):
    model = build(
        arch, words, max_positions=64, decoder_max_positions=16, dropout=0.0, attention_dropout=0.0, **SEQ2SEQ[arch]
    )
    given = told(summaries(words), model)["net_input"]
    assert given["lengths"] == sorted(LENGTHS, reverse=True) and len(given["unpadded"]) == sum(LENGTHS)
    untold = {k: v for k, v in given.items() if k not in ("unpadded", "lengths")}
    torch.testing.assert_close(model(**given)[0], model(**untold)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arch", ["led_tiny", "littlebird_seq2seq_tiny"])
def test_fairseqs_own_batches_are_not_asked_on_a_device(words, waits, monkeypatch, arch):
    """``translation`` pads on the left and tells nothing: sources are moved, and padding is computed with."""
    model = build(
        arch, words, max_positions=64, decoder_max_positions=16, dropout=0.0, attention_dropout=0.0, **SEQ2SEQ[arch]
    )
    sample = summaries(words)
    given = {**sample["net_input"]}
    tokens = given["src_tokens"]
    given["src_tokens"] = torch.stack([row.roll(int(row.eq(words.pad()).sum())) for row in tokens])
    expected = model(**given)[0]
    monkeypatch.setattr(seq2seq_encoder, "counts_at_once", lambda device: False)
    torch.testing.assert_close(model(**given)[0], expected, rtol=1e-4, atol=1e-5)
    criterion = LabelSmoothedCrossEntropyCriterion(SimpleNamespace(target_dictionary=words), False, 0.1)
    assert_does_not_wait(waits, criterion, model, sample | {"net_input": given})

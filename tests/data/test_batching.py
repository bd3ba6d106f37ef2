"""Batches by tokens of real questions and texts: everything is in one, none is too large, little of them is padding."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.data.batch import unpadded_length
from fairseq_littlebird.data.batching import PADDING, EveryItemBatched
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.data.question_answering_dataset import QuestionAnsweringDataset
from fairseq_littlebird.heads.span_selection import LinearSpanHead
from fairseq_littlebird.inference.answering import decode_windows

PAD = 1
FILES = {
    "squad": "squad/dev.json",
    "squad joined": "squad/dev.json",
    "hotpotqa": "hotpotqa/distractor_100.json",
    "triviaqa": "triviaqa/qa/web-dev.json",
}
MAX_TOKENS = 16384


class Items(EveryItemBatched):
    def __init__(self, items):
        self.sizes = np.array([size for size, _ in items], dtype=np.int64)
        self.sequences = np.array([rows for _, rows in items], dtype=np.int64)

    def num_tokens_vec(self, indices):
        return self.sizes[indices] * self.sequences[indices]


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 4)), max_size=60),
    st.one_of(st.none(), st.integers(160, 400)),
    st.one_of(st.none(), st.integers(1, 9)),
)
def test_limits(items, max_tokens, max_sentences):
    data = Items(items)
    order = np.argsort(data.sizes, kind="stable")
    batches = data.batch_by_size(order, max_tokens, max_sentences, required_batch_size_multiple=8)
    assert [int(i) for batch in batches for i in batch] == order.tolist()
    for batch in batches:
        padded = data.sequences[batch].sum() * data.sizes[batch].max()
        assert len(batch) > 0
        assert max_sentences is None or len(batch) <= max_sentences
        if max_tokens is not None:
            assert padded <= max_tokens
            assert data.num_tokens_vec(batch).sum() >= (1 - PADDING) * padded - 1e-9
    if max_tokens is None:
        assert all(len(batch) == (max_sentences or len(order)) for batch in batches[:-1])


@pytest.fixture(scope="module", params=FILES)
def folder(request, data_dir, tmp_path_factory):
    """A data set's sample, prepared; TriviaQA's answers are noisy."""
    out = tmp_path_factory.mktemp("out")
    source = data_dir
    if request.param == "triviaqa":
        source = out
        shutil.unpack_archive(data_dir / "triviaqa" / "triviaqa-sample.tgz", out / "triviaqa")
    name, *joined = request.param.split()
    file, words = source / FILES[request.param], data_dir / "vocab" / "gpt2_bpe"
    prepare(
        ["qa", "--dataset", name, "--train", f"{file}", "--tokenizer", f"{words}", "--dict", f"{words}/dict.txt",
         "--max-tokens", "2048", "--stride", "1024", "--destdir", f"{out}/qa", *(["--join-articles"] if joined else [])]
    )  # fmt: skip
    return out / "qa"


def padding(shapes):
    """The share of tokens in batches that are padding."""
    real, padded = np.sum(shapes, axis=0)
    return 1 - real / padded


def test_little_padding_in_training(folder):
    data = QuestionAnsweringDataset(PreparedQuestions(folder, "train"), PAD, True, noisy=True)
    shapes = []
    for batch in data.batch_by_size(data.ordered_indices(), max_tokens=MAX_TOKENS):
        net_input = data.collater([data[int(i)] for i in batch])["net_input"]
        shapes.append((int(net_input["src_lengths"].sum()), net_input["src_tokens"].numel()))
    assert max(padded for _, padded in shapes) <= MAX_TOKENS
    assert padding(shapes) < 0.1


class Model(torch.nn.Module):
    """Sees what is encoded together."""

    def __init__(self):
        super().__init__()
        self.span_head, self.seen = LinearSpanHead(1), []

    def forward(self, src_tokens, src_lengths, questions, **inputs):
        self.seen.append((int(src_lengths.sum()), src_tokens.numel()))
        return torch.zeros(*src_tokens.shape, 1), {}


@torch.no_grad()
def test_little_padding_at_evaluation(folder):
    data = QuestionAnsweringDataset(PreparedQuestions(folder, "train"), PAD, False)
    model = Model()
    for batch in data.batch_by_size(data.ordered_indices(), max_tokens=16 * MAX_TOKENS):
        loaded = data.collater([data[int(i)] for i in batch])
        for _ in decode_windows(model, loaded["net_input"], loaded["selectable"], max_tokens=MAX_TOKENS):
            pass
    assert sum(real for real, _ in model.seen) == data.prepared.window_sizes.sum()
    assert padding(model.seen) < 0.1


def test_the_length_of_a_text_ends_at_its_last_token():
    """Chunks of recurring span selection can end in padding, which is no token."""
    found = [unpadded_length(np.array(tokens, dtype=int), 1) for tokens in ([5, 6], [5, 1, 6, 1, 1], [1, 1], [])]
    assert found == [2, 3, 0, 0]

"""Token streams and windows over them: every token is predicted exactly once, from the tokens right before it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.data.language_modeling_dataset import LanguageModelingDataset
from fairseq_littlebird.data.token_stream import TokenStream
from fairseq_littlebird.data.token_windows import token_windows
from fairseq_littlebird.errors import UserError

EOS, PAD = 2, 1


def write(folder, split, items, dtype=np.uint16):
    builder = MMapIndexedDatasetBuilder(f"{folder}/{split}.bin", dtype=dtype)
    for item in items:
        builder.add_item(torch.tensor(item, dtype=torch.int64))
    builder.finalize(f"{folder}/{split}.idx")


def dictionary():
    made = Dictionary()
    for n in range(96):
        made.add_symbol(f"w{n}")
    return made


@pytest.fixture
def stream(tmp_path):
    """Tokens 4 … 43 in three data sets, with empty items among them."""
    write(tmp_path, "train", [[*range(4, 9)], [], [*range(9, 11)]])
    write(tmp_path, "train1", [[], [*range(11, 30)], [30]])
    write(tmp_path, "train2", [[*range(31, 44)], []], np.int32)
    return TokenStream.of_split(tmp_path, "train", combine=True)


def test_every_part_of_a_stream(stream):
    assert len(stream) == 40
    for copy in (stream, pickle.loads(pickle.dumps(stream))):
        for start in range(41):
            for stop in range(start, 41):
                assert copy.read(start, stop).tolist() == [*range(4 + start, 4 + stop)]


def test_texts_of_a_stream(stream):
    assert stream.documents(False).tolist() == [[0, 40]]
    assert stream.documents(True).tolist() == [[0, 5], [5, 7], [7, 26], [26, 27], [27, 40]]


def test_one_data_set_alone(stream, tmp_path):
    assert TokenStream.of_split(tmp_path, "train").read(0, 7).tolist() == [*range(4, 11)]


def test_an_empty_split(tmp_path):
    write(tmp_path, "test", [[], []])
    assert not len(LanguageModelingDataset(TokenStream.of_split(tmp_path, "test"), dictionary(), 5, 5))


def test_another_kind_of_data_set_is_one_line(tmp_path):
    (tmp_path / "train.idx").write_bytes(b"TNTIDX\x00\x00" + bytes(64))
    with pytest.raises(UserError, match="train: not a memory-mapped data set; binarize it again"):
        TokenStream.of_split(tmp_path, "train")


lengths = st.lists(st.integers(1, 30), min_size=1, max_size=6)


@given(lengths, st.integers(1, 40), st.data())
def test_every_token_is_predicted_once(sizes, length, data):
    """With as many tokens before it as the window leaves, in windows whose places depend on nothing behind them."""
    stride = data.draw(st.integers(1, length))
    ends = np.cumsum(sizes)
    documents = np.stack([ends - sizes, ends], axis=1)
    windows = token_windows(documents, length, stride)
    begin_of = np.repeat(documents[:, 0], sizes)
    predicted = [
        (p, start, opening)
        for start, first, stop, opening in zip(*windows, strict=True)
        for p in range(first, stop)
    ]  # fmt: skip
    assert [p for p, *_ in predicted] == [*range(ends[-1])]
    assert (windows.sizes <= length).all() and (windows.sizes > 0).all()
    for p, start, opening in predicted:
        assert opening == (start == begin_of[p])
        assert opening or p - start >= length - stride
        assert (start - begin_of[p]) % stride == 0


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("length, stride", [(7, 7), (7, 3), (8, 1), (100, 50)])
def test_what_is_read_and_predicted(stream, lines, length, stride):
    dataset = LanguageModelingDataset(stream, dictionary(), length, stride, lines)
    targets, begins = [], {begin for begin, _ in stream.documents(lines).tolist()}
    for n in range(len(dataset)):
        item = dataset[n]
        start, first, stop, opening = (int(array[n]) for array in dataset.windows)
        before = [EOS] if start in begins and opening else [start + 3]
        assert item["source"].tolist() == before + [*range(4 + start, 3 + stop)]
        assert item["target"].tolist() == [PAD] * item["context"] + [*range(4 + first, 4 + stop)]
        targets += item["target"][item["context"] :].tolist()
    assert targets == [*range(4, 44)]


def test_a_batch_is_padded_on_the_right(stream):
    dataset = LanguageModelingDataset(stream, dictionary(), 15, 10)
    batch = dataset.collater([dataset[0], dataset[3]])
    assert batch["net_input"]["src_tokens"].tolist() == [[EOS, *range(4, 18)], [*range(33, 43), *[PAD] * 5]]
    assert batch["target"].tolist() == [[*range(4, 19)], [*[PAD] * 5, *range(39, 44), *[PAD] * 5]]
    assert batch["ntokens"] == 20 and batch["start_indices"] == [0, 5] and batch["id"].tolist() == [0, 3]
    assert "start_indices" not in dataset.collater([dataset[0]]) and dataset.collater([]) == {}

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.striding import cut_longest, windows


@given(length=st.integers(0, 400), room=st.integers(1, 90), data=st.data())
def test_windows_cover_every_token_without_redundant_ones(length, room, data):
    stride = data.draw(st.integers(1, room))
    pieces = windows(length, room, stride)
    assert {token for start, stop in pieces for token in range(start, stop)} == set(range(length))
    assert [start for start, _ in pieces] == [i * stride for i in range(len(pieces))]
    assert all(stop - start == room for start, stop in pieces[:-1])
    assert not pieces or (pieces[-1][1] == length and 0 < length - pieces[-1][0] <= room)
    assert all(b_stop > a_stop for (_, a_stop), (_, b_stop) in zip(pieces, pieces[1:], strict=False))


def test_a_context_that_fits_is_one_window():
    assert windows(10, 10, 5) == [(0, 10)]
    assert windows(11, 10, 5) == [(0, 10), (5, 11)]
    assert windows(0, 10, 5) == []


@pytest.mark.parametrize(("room", "stride"), [(10, 11), (10, 0), (10, -1), (0, 1), (-3, 1)])
def test_a_stride_that_skips_tokens_or_stands_still_is_an_error(room, stride):
    with pytest.raises(UserError, match="stride"):
        windows(100, room, stride)


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(0, 100))
def test_the_longest_are_cut_first(lengths, room):
    kept = cut_longest(lengths, room)
    assert sum(kept) <= room
    cut = [k for k, length in zip(kept, lengths, strict=True) if k < length]
    assert len(set(cut)) <= 1 and all(k <= max(cut, default=k) for k in kept)
    # one more token of each that was cut would not fit
    assert not cut or sum(kept) + len(cut) > room

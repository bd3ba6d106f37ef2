"""The symbols of a dictionary are those that fairseq gives ids to, and two that differ are told apart."""

from __future__ import annotations

import logging

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.checkpoints.dictionary import (
    TrainedDictionary,
    carrying,
    check_symbols,
    check_trained_dictionary,
    dictionary_symbols,
    first_difference,
    trained_dictionary,
)
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.errors import UserError

LINES = st.lists(
    st.text(st.characters(exclude_categories=["Z", "Cc", "Cs"]), min_size=1, max_size=4).filter(
        lambda symbol: (
            symbol not in ("<s>", "<pad>", "</s>", "<unk>")
        )  # fairseq refuses them without its overwrite flag
    )
    | st.sampled_from(["<mask>", "[QUESTION]", "a b", "\u2028x", "x\x85y"]),
    max_size=9,
    unique=True,
)


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_the_order_of_the_ids_is_fairseqs(tmp_path_factory, symbols, end, mark):
    folder = tmp_path_factory.mktemp("words")
    content = "".join(f"{symbol} {n}{end}" for n, symbol in enumerate(symbols)).encode("utf-8-sig" if mark else "utf-8")
    (folder / "dict.txt").write_bytes(content)
    assert dictionary_symbols(content, "dict.txt") == load_dictionary(folder).symbols


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a 1\nb\n", "line 2: 'b' is not a symbol"), (b"a x\n", "line 1"), (b"\xff 1\n", "not UTF-8")],
)
def test_what_is_no_dictionary(content, message):
    with pytest.raises(UserError, match=f"here.*{message}"):
        dictionary_symbols(content, "here")


@given(LINES, LINES)
def test_the_first_difference(one, two):
    theirs, ours = (dictionary_symbols("".join(f"{s} 1\n" for s in lines).encode(), "x") for lines in (one, two))
    said = first_difference(theirs, ours, "HERE")
    assert bool(said) == (theirs != ours)
    if said:
        (n,) = (int(word) for before, word in zip(said.split(), said.split()[1:], strict=False) if before == "id")
        assert theirs[:n] == ours[:n] and theirs[n : n + 1] != ours[n : n + 1]


def test_what_fairseqs_own_tasks_leave_out_is_no_difference():
    ours = dictionary_symbols(b"a 1\n", "x")
    assert ours[-2:] == ["<mask>", "[QUESTION]"]
    check_symbols(ours[:-1], ours, "dict.txt")
    check_symbols(ours, ours[:-1], "dict.txt")


def test_the_message_names_both_symbols():
    one, two = (dictionary_symbols(text, "x") for text in (b"a 1\nb 1\nc 1\n", b"a 1\nc 1\nb 1\n"))
    with pytest.raises(UserError) as caught:
        check_symbols(one, two, "DATA/dict.txt", "x.pt")
    differ = "x.pt: the checkpoint's dictionary differs from DATA/dict.txt: id 5 is 'b', there 'c'; "
    assert str(caught.value).startswith(differ)
    with pytest.raises(UserError, match=r"\(10 symbols, 9 there\): id 7 is 'd', there '<mask>'"):
        check_symbols(dictionary_symbols(b"a 1\nb 1\nc 1\nd 1\n", "x"), one, "x")


def test_where_a_dictionary_is_looked_for(tmp_path, caplog):
    """In the checkpoint, beside it, where it was trained; where there is none, a warning."""
    trained, saved = tmp_path / "data", tmp_path / "saved"
    for folder, symbol in ((trained, "trained"), (saved, "beside")):
        folder.mkdir()
        (folder / "dict.txt").write_text(f"{symbol} 1\n")
    path, content = saved / "x.pt", {"cfg": {"task": {"data": f"{trained}:{tmp_path}/none"}}, "task_state": {}}
    carrier = content | {"task_state": {"files": {"dict.txt": torch.tensor([*b"carried 1\n"], dtype=torch.uint8)}}}
    assert trained_dictionary(carrier, path).symbols[4] == "carried"
    found = trained_dictionary(content, path)
    assert found.symbols[4] == "beside"
    assert trained_dictionary(carrying(content, found), tmp_path / "y.pt").symbols[4] == "beside"
    assert trained_dictionary(carrying(carrier, found), path).symbols[4] == "carried"
    (saved / "dict.txt").unlink()
    assert trained_dictionary(content, path).symbols[4] == "trained"
    assert trained_dictionary({"args": None}, path) is None
    symbols = dictionary_symbols(b"trained 1\n", "x")
    with caplog.at_level(logging.WARNING):
        check_trained_dictionary(TrainedDictionary(b"trained 1\n", path), symbols, "dict.txt", "x.pt")
        assert not caplog.records
        check_trained_dictionary(None, symbols, "dict.txt", "x.pt")
        # the folder that it was trained on is the folder it goes on with: nothing has been compared
        check_trained_dictionary(TrainedDictionary.of(trained), symbols, f"{trained}/dict.txt", "x.pt")
    assert [r.getMessage().split(":")[0] for r in caplog.records] == [
        "x.pt has no dictionary to compare with dict.txt",
        f"x.pt has no dictionary to compare with {trained}/dict.txt",
    ]

"""What a user sees of a file that PyTorch refuses: what is in it, and no advice to run it."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys

import numpy as np
import pytest
import torch

from fairseq_littlebird.checkpoints.tensors import load_tensors
from fairseq_littlebird.errors import UserError, exit_on_user_error


class Command:
    def __reduce__(self):
        return os.system, ("true",)


def saved(content, **options):
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


CASES = {
    "a command": (saved({"a": Command()}), f"it holds {os.system.__module__}.system, where only tensors"),
    "an old file": (saved({"a": Command()}, _use_new_zipfile_serialization=False), "it holds"),
    "a type": (saved({"a": argparse.ArgumentParser}), "it holds argparse.ArgumentParser,"),
    "a number of numpy": (saved({"a": np.float64(3)}), "multiarray.scalar,"),
    "a part": (saved({"a": torch.zeros(999)})[:2000], "not a readable PyTorch file"),
    "a text": (b"nothing", "damaged, or not written by PyTorch"),
    "nothing": (b"", "not a readable PyTorch file"),
}


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_an_unreadable_file(name, mapped, tmp_path):
    content, says = CASES[name]
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_tensors(tmp_path / "x.pt", mapped)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path}/x.pt: not a readable PyTorch file") and says in line
    assert "weights_only" not in line and "trust" not in line and "\x1b" not in line


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii", "euc-kr"])
def test_a_terminal_that_lacks_a_character(encoding, monkeypatch):
    """As an answer in another script, or the name of a file in no encoding; JSON stays what it was."""
    stream = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stream, encoding))
    text = "서울 é 😀 caf\udce9.txt"
    exit_on_user_error(lambda: print(json.dumps(text, ensure_ascii=False), flush=True))()
    assert json.loads(stream.getvalue().decode(encoding)) == text

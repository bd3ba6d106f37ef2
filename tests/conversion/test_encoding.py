"""A folder of transformers through ``littlebird-warm-start`` and ``LittleBird.encode``: from text to hidden states."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fairseq_littlebird.cli.warm_start import main
from fairseq_littlebird.pipelines.littlebird import LittleBird

SAME = [
    ("BertForMaskedLM", "full"),
    ("RobertaForMaskedLM", "full"),
    ("XLMRobertaForMaskedLM", "full"),
    ("ModernBertModel", "full"),
    ("ModernBertForMaskedLM", "full"),
    ("BigBirdForMaskedLM", "bigbird_itc"),
    ("LongformerForMaskedLM", "longformer"),
]


@pytest.mark.parametrize(("name", "to"), SAME)
def test_the_same_architecture_has_the_same_hidden_states(hugging_face, their_numbers, texts, tmp_path, name, to):
    theirs, folder = hugging_face(name)
    main(["--from", str(folder), "--out", str(tmp_path / "out"), "--to", to])
    found = LittleBird.from_pretrained(tmp_path / "out", device="cpu").encode(texts[0])
    numbers = their_numbers(folder)
    ids = torch.tensor([[numbers[symbol] for symbol in ("<s>", *found.tokens, "</s>")]])
    options: dict[str, Any] = {"global_attention_mask": torch.zeros_like(ids)} if to == "longformer" else {}
    if to == "bigbird_itc":  # transformers attends to all of a text as short as 36 tokens
        assert ids.shape[1] > 36
        theirs.base_model.set_attention_type("block_sparse")
    with torch.no_grad():
        wanted = theirs.base_model(ids, **options).last_hidden_state[0]
    assert found.hidden.shape == wanted.shape and len(found.tokens) > 10
    torch.testing.assert_close(found.hidden, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "to"),
    [
        (name, to)
        for name, _ in SAME
        for to in ("littlebird", "bigbird_etc")
        if to == "littlebird" or not name.startswith("ModernBert")
    ],
)
def test_another_architecture_encodes(hugging_face, texts, tmp_path, name, to):
    _, folder = hugging_face(name)
    main(["--from", str(folder), "--out", str(tmp_path / "out"), "--to", to])
    for one in LittleBird.from_pretrained(tmp_path / "out", device="cpu").encode(texts):
        assert one.hidden.shape == (len(one.tokens) + 2, 16) and one.hidden.isfinite().all()

"""The comparison of summarizers: what its arms attend to, its extracts, and the documents to quote from."""

from __future__ import annotations

import importlib
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from fairseq_littlebird.modules.bigbird_encoder import BigBirdEncoder
from fairseq_littlebird.modules.config import BigBirdConfig, FullAttentionConfig
from fairseq_littlebird.modules.full_attention_encoder import FullAttentionEncoder

FOLDER = Path(__file__).resolve().parents[2] / "scripts" / "experiments"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.mark.parametrize("kind", ["seeded", "first_block"])
def test_the_arms_with_full_attention_have_it(module: Any, kind: str) -> None:
    """At the most tokens that they read, and at fewer; BigBird's other arm has it not."""
    models = module("summaries").MODELS
    sizes: dict[str, Any] = {"vocab_size": 30, "layers": 2, "embed_dim": 8, "ffn_embed_dim": 12, "heads": 2}
    sizes |= {"max_positions": 2048, "dropout": 0.0, "attention_dropout": 0.0}
    for name in ("full-512", "full-1024", "bigbird"):
        most, command = models[name]
        block = re.search(r"--to bigbird_roberta .*--block-size (\d+)", command)
        assert block
        torch.manual_seed(0)
        sparse = BigBirdEncoder(BigBirdConfig(**sizes, block_size=int(block[1]), random_attention=kind)).double().eval()
        for parameter in sparse.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
        full = FullAttentionEncoder(FullAttentionConfig(**sizes)).double().eval()
        full.load_state_dict(sparse.state_dict())
        for length in (most, most - 100, 1) if most else (2048,):
            tokens = torch.randint(4, 30, (1, length))
            with torch.no_grad():
                assert torch.allclose(sparse(tokens), full(tokens), atol=1e-9, rtol=0) == bool(most), (name, length)


def test_documents_have_one_mark_and_few_different_words(module: Any, tmp_path: Path) -> None:
    quoting = module("quoting")
    quoting.write(tmp_path, 64, 10, {"train": 20}, seed=1)
    for line in (tmp_path / "train.jsonl").read_text("utf-8").splitlines():
        record = json.loads(line)
        tokens = record["document"].replace(".", " .").split()
        assert len(tokens) + 2 == 63 and tokens.count("mark") == 1
        assert len({*tokens} - {"mark", "."}) <= 10
        place = int(record["id"].split("-")[1])  # <s> is token 0
        assert " ".join(tokens[place - 1 : place + 6]) == record["summary"].replace(".", " .")
    _, marked, _ = quoting.document(random.Random(0), quoting.words()[:64], 4096, 64)
    assert len(marked.split()) == 5


def test_positions_are_repeated_but_for_the_first(module: Any, tmp_path: Path) -> None:
    summaries = module("summaries")
    table = torch.arange(130.0)[:, None].repeat(1, 2)
    torch.save({"model": {"encoder.embeddings.positions.weight": table}}, tmp_path / "one.pt")
    made = summaries.repeated_positions(tmp_path / "one.pt", tmp_path / "two.pt")
    column = torch.load(made, weights_only=True)["model"]["encoder.embeddings.positions.weight"][:, 0].tolist()
    trained = [*map(float, range(1, 61))]
    assert column == [0.0, *trained, *trained, *trained[:9]]


def test_the_oracle_chooses_by_the_summary(module: Any) -> None:
    summaries = module("summaries")
    document = "Rust is red. Trains wait for others. Nobody knows when."
    assert summaries.oracle(document, ["Trains wait."]) == ["Trains wait for others."]
    assert summaries.lead(document, []) == ["Rust is red.", "Trains wait for others.", "Nobody knows when."]

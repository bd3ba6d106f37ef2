"""Mean attention by position: the text, the means, the choice of panels and the picture."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary
from omegaconf import OmegaConf

from fairseq_littlebird.attention.effective_attention import (
    effective_attention,
    full_attention_probabilities,
    pack_attention_probabilities,
)
from fairseq_littlebird.benchmarks import heatmap
from fairseq_littlebird.benchmarks.heatmap import MEAN, chosen, draw, heatmaps, mean_bins, same_sizes, sequences
from fairseq_littlebird.cli.benchmark import main
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models import (
    FullAttentionModel,
    FullAttentionModelConfig,
    LittleBirdModel,
    LittleBirdModelConfig,
)

SIZES = {"encoder_layers": 2, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 16, "encoder_attention_heads": 2}
L = 23


@pytest.fixture(scope="module")
def models():
    words = Dictionary()
    for n in range(20):
        words.add_symbol(f"w{n}")
    task = SimpleNamespace(source_dictionary=words)
    torch.manual_seed(0)
    full, cfg = FullAttentionModelConfig(**SIZES), LittleBirdModelConfig(**SIZES, pack_size=3, block_size=4)
    built = (
        FullAttentionModel.build_model(OmegaConf.structured(full), task),
        LittleBirdModel.build_model(OmegaConf.structured(cfg), task),
    )
    return [model.eval() for model in built]


@pytest.fixture(scope="module")
def texts():
    return torch.randint(4, 24, (3, 1, L), generator=torch.Generator().manual_seed(0))


def whole_rows(model, tokens):
    """<float>[layers, H, L, L], and the share of the pack vectors by layer."""
    with torch.inference_mode():
        _, extra = model(tokens, features_only=True, return_attention_internals=True)
        layers = extra["attention_internals"]
        if isinstance(model, FullAttentionModel):
            return torch.cat([full_attention_probabilities(internals) for internals in layers]), torch.zeros(2)
        rows = torch.cat([effective_attention(internals, None, None, 4) for internals in layers])
        # what is left when the pack vectors lead nowhere
        nowhere = [torch.zeros_like(pack_attention_probabilities(internals)) for internals in layers]
        direct = [
            effective_attention(r, None, None, 4, pack=p)
            for r, p in zip(extra["attention_internals"], nowhere, strict=True)
        ]
        return rows, 1 - torch.stack([part.sum(-1).mean() for part in direct])


@pytest.mark.parametrize("bins", [L, 5, 1, 99])
@pytest.mark.parametrize("elements", [2**24, 50])
def test_the_mean_over_texts_and_bins(models, texts, bins, elements, monkeypatch):
    monkeypatch.setattr(heatmap, "ELEMENTS", elements)
    for model in models:
        seen = []
        found = heatmaps(model, texts, bins, "a", lambda seen=seen: seen.append(1))
        rows, pack = (torch.stack(parts).mean(0) for parts in zip(*(whole_rows(model, t) for t in texts), strict=True))
        parts = [[i for i in range(L) if i * min(bins, L) // L == n] for n in range(min(bins, L))]
        wanted = torch.stack(
            [torch.stack([rows[:, :, q][..., k].mean((-2, -1)) for k in parts], -1) for q in parts], -2
        )
        torch.testing.assert_close(found.values, wanted * L, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.pack, pack, rtol=1e-4, atol=1e-5)
        assert found.length == L and len(seen) == 3
        if bins == 1:
            torch.testing.assert_close(found.values, torch.ones(2, 2, 1, 1))  # even attention is 1


def test_every_bin_is_a_mean():
    for bins in (1, 4, 10):
        pool = mean_bins(10, bins)
        torch.testing.assert_close(pool.sum(1), torch.ones(bins))
        assert ((pool > 0).sum(0) == 1).all()


def test_the_text_in_its_order(tiny):
    items = MappedItems(tiny / "text" / "valid")
    stream = np.concatenate([items[i] for i in range(len(items))])
    found = torch.cat(list(sequences(tiny / "text", "valid", 50, 4)))
    assert (found[:, 0] == 0).all() and found.shape == (4, 50)
    assert found[:, 1:].flatten().tolist() == stream[: 4 * 49].tolist()
    with pytest.raises(UserError, match="valid: .*99,999.*--sequences"):
        list(sequences(tiny / "text", "valid", 100_000, 4))


def test_panels():
    assert chosen(["mean"], 2, 3) == [(0, MEAN), (1, MEAN)]
    assert chosen(["1.2", "0.0"], 2, 3) == [(1, 2), (0, 0)]
    assert chosen(["all"], 2, 1) == [(0, MEAN), (0, 0), (1, MEAN), (1, 0)]
    for name in ("2.0", "0.3", "first", "0.-1", "1", ""):
        with pytest.raises(UserError, match="--heads: no head .*from 0.0 to 1.2"):
            chosen([name], 2, 3)


def test_models_that_do_not_compare(models, monkeypatch):
    other = SimpleNamespace(encoder=SimpleNamespace(config=SimpleNamespace(layers=1, heads=2)))
    assert same_sizes(models, ["a", "b"]) == (2, 2)
    with pytest.raises(UserError, match="c.pt: 1 layers of 2 heads, but a.pt has 2 of 2"):
        same_sizes([*models, other], ["a.pt", "b.pt", "c.pt"])
    monkeypatch.setattr(models[0], "max_positions", lambda: 40)
    monkeypatch.setattr(heatmap, "load_dictionary", lambda data: None)
    monkeypatch.setattr(heatmap, "load_encoder", lambda *_: models[0])
    with pytest.raises(UserError, match="41 tokens, but 40 positions; lower --teacher-length or --student-length"):
        heatmap.load("a.pt", Path(), 41)


def test_a_checkpoint_given_twice_is_drawn_twice(models, texts, monkeypatch):
    drawn = []
    monkeypatch.setattr(heatmap, "load", lambda path, data, length: models[path == "s.pt"])
    monkeypatch.setattr(heatmap, "sequences", lambda *_: texts[:1])
    monkeypatch.setattr(heatmap, "draw", lambda maps, *_: drawn.extend(of_model.title for of_model in maps))
    main("heatmap text --teacher t.pt --student s.pt s.pt t.pt --titles one two --plot a.png".split())
    assert drawn == ["teacher", "one", "two", "student"]


def test_a_picture(models, texts, tmp_path):
    maps = [heatmaps(model, texts[:1], 8, title) for model, title in zip(models, ("teacher", "student"), strict=True)]
    draw(maps, chosen(["mean", "1.1"], 2, 2), tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text("utf-8")
    assert drawn.count("<image") >= 6  # two models, three panels
    with pytest.raises(UserError, match=r"a\.nothing"):
        draw(maps, [(0, 0)], tmp_path / "a.nothing")

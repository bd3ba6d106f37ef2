"""The comparison of classifiers: its split of the reviews, and its tables."""

from __future__ import annotations

import importlib
import json
import zipfile
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "scripts" / "experiments"


@pytest.fixture
def experiment(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("classification")


def test_reviews_are_split_once_and_alike(experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "SPLITS", {"train": 6, "valid": 2, "test": 3})
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for label in ("neg", "pos"):
            for n in range(12):
                archive.writestr(f"movie_reviews/{label}/{n:02}.txt", f"{label} {n}")
    files = experiment.reviews(tmp_path / "x.zip", tmp_path)
    read = {split: [json.loads(line) for line in file.read_text().splitlines()] for split, file in files.items()}
    assert {split: len(lines) for split, lines in read.items()} == {"train": 12, "valid": 4, "test": 6}
    names = [line["id"] for lines in read.values() for line in lines]
    assert len(set(names)) == 22 and all(line["text"].startswith(line["label"]) for line in read["train"])
    assert experiment.reviews(Path("gone"), tmp_path) == files  # they are there


def test_report(experiment):
    results = {
        "scores/STS-B-512-full-1": {"spearman": 0.85},
        "scores/STS-B-512-full-2": {"spearman": 0.87},
        "scores/reviews-512-littlebird-1": {"accuracy": 0.9},
        "scores/reviews-512-littlebird-1-at-2048": {"accuracy": 0.7},
        "scores/reviews-512-littlebird_inserted-1": {"accuracy": 0.8},
        "minutes/STS-B-512-full-1": 3.0,
    }
    lines = experiment.report(results).splitlines()
    assert "|  | full | littlebird | littlebird_inserted |" in lines
    assert "| STS-B, 512 tokens | 86.0 (85.0, 87.0) |  |  |" in lines
    assert "| reviews, 512 tokens |  | 90.0 (90.0) | 80.0 (80.0) |" in lines
    assert "| STS-B, 512 tokens | 3.0 (3.0) |  |  |" in lines
    assert lines[-1] == "scores/reviews-512-littlebird-1-at-2048: {'accuracy': 0.7}"

"""What the models of genomics.py are measured against: Markov models and logistic regression on k-mers.

    python genomics_baselines.py markov --train train.fa --test test.fa
    python genomics_baselines.py kmers  --data PREPARED --out predictions.json

``markov`` prints, as JSON, bits per base of models of each order, which predict a base from those before it; and of
``both_sides``, which predict it from as many on each side, as a masked model may. Unseen contexts fall back on shorter
ones. ``kmers`` counts the k-mers of the promoters that littlebird-prepare has prepared; the strength of the
regularisation is chosen on the validation split. It needs scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_littlebird.data.classification_metadata import read_metadata
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.text.dna.nucleotides import BASES, reverse_complement
from fairseq_littlebird.text.dna.sequences import read_sequences

ORDERS, SIDES = (0, 1, 2, 3, 4, 5, 6), (1, 2, 3, 4)
PRIOR = 4.0
"""Counts that a shorter context stands for."""
K = 6
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


class Contexts:
    """Bases given those around them, each context of n bases with its shorter ones as a prior.

    Args:
        offsets: the places of a context from the base, those that count most first.
    """

    def __init__(self, offsets: list[int]) -> None:
        self.offsets = offsets
        self.tables = [np.zeros((4**n, 4)) for n in range(len(offsets) + 1)]

    def add(self, codes: np.ndarray) -> None:
        for n, table in enumerate(self.tables):
            contexts, bases = self._contexts(codes, n)
            np.add.at(table, (contexts, bases), 1)

    def bits(self, codes: np.ndarray) -> np.ndarray:
        """Of each base; those near the ends have shorter contexts."""
        probability = np.full(len(codes), 0.25)
        for n, table in enumerate(self.tables):
            contexts, bases = self._contexts(codes, n)
            low, high = self._inner(len(codes), n)
            own = table[contexts]
            inner = probability[low:high]
            probability[low:high] = (own[np.arange(len(bases)), bases] + PRIOR * inner) / (own.sum(-1) + PRIOR)
        return -np.log2(probability)

    def _inner(self, length: int, n: int) -> tuple[int, int]:
        used = self.offsets[:n]
        return -min([0, *used]), length - max([0, *used])

    def _contexts(self, codes: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        low, high = self._inner(len(codes), n)
        contexts = np.zeros(high - low, np.int64)
        for offset in self.offsets[:n]:
            contexts = 4 * contexts + codes[low + offset : high + offset]
        return contexts, codes[low:high]


def codes_of(path: Path, both_strands: bool = False) -> list[np.ndarray]:
    """The bases of a file's sequences, from 0 to 3; each N becomes A."""
    texts = [sequence.bases.replace(b"N", b"A") for sequence in read_sequences(path)]
    texts += [reverse_complement(text) for text in texts] if both_strands else []
    table = bytes.maketrans(BASES.encode(), bytes(range(4)))
    return [np.frombuffer(text.translate(table), np.uint8).astype(np.int64) for text in texts]


def markov(train: Path, test: Path) -> dict[str, dict[str, float]]:
    """Bits per base of ``test``."""
    models = {f"order {n}": [-k for k in range(1, n + 1)] for n in ORDERS}
    models |= {f"both sides {n}": [side * k for k in range(1, n + 1) for side in (-1, 1)] for n in SIDES}
    found: dict[str, dict[str, float]] = {}
    for strands in (False, True):
        own, tested = codes_of(train, strands), codes_of(test)
        for name, offsets in models.items():
            model = Contexts(offsets)
            for codes in own:
                model.add(codes)
            bits = np.concatenate([model.bits(codes) for codes in tested]).mean()
            found.setdefault(name, {})["both strands" if strands else "one strand"] = round(float(bits), 4)
    return found


def texts_of(data: Path, split: str) -> Iterator[tuple[str, str, int]]:
    """Id, bases and label number of the sequences of a prepared split."""
    symbols = load_dictionary(data / "input0")
    texts, labels, ids = (MappedItems(data / part / split) for part in ("input0", "label", "id"))
    for n in range(len(texts)):
        bases = "".join(symbols[token] for token in texts[n][:-1].tolist())
        yield ids[n].tobytes().decode(), bases, int(labels[n][0]) - symbols.nspecial


def kmer_counts(texts: list[str], k: int = K) -> Any:
    """<float>[texts, 4^k], sparse: how often each k-mer occurs, as a share."""
    from scipy.sparse import csr_matrix

    table = str.maketrans(BASES, "0123")
    rows, columns = [], []
    for row, text in enumerate(texts):
        digits = np.array([int(letter) for letter in text.replace("N", "A").translate(table)])
        codes = sum(digits[n : len(digits) - k + 1 + n] * 4 ** (k - 1 - n) for n in range(k))
        rows += [row] * len(codes)
        columns += codes.tolist()
    counts = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(texts), 4**k))
    return counts.multiply(1 / np.maximum(counts.sum(1), 1)).tocsr() * 4**k / 16


def kmers(data: Path, out: Path) -> dict[str, Any]:
    """Writes the predictions of the test split as littlebird-predict would."""
    from sklearn.linear_model import LogisticRegression

    began = time.process_time()
    splits = {split: [*texts_of(data, split)] for split in ("train", "valid", "test")}
    counts = {split: kmer_counts([bases for _, bases, _ in own]) for split, own in splits.items()}
    truth = {split: np.array([label for _, _, label in own]) for split, own in splits.items()}
    best, chosen, strength = -1.0, None, 0.0
    for c in STRENGTHS:
        model = LogisticRegression(C=c, max_iter=2000).fit(counts["train"], truth["train"])
        share = float((model.predict(counts["valid"]) == truth["valid"]).mean())
        if share > best:
            best, chosen, strength = share, model, c
    assert chosen is not None
    metadata = read_metadata(data)
    assert metadata is not None
    rows = chosen.predict_proba(counts["test"]).tolist()
    records = {
        id: {
            "label": metadata.labels[int(np.argmax(row))],
            "probabilities": dict(zip(metadata.labels, row, strict=True)),
        }
        for (id, _, _), row in zip(splits["test"], rows, strict=True)
    }
    out.write_text(json.dumps(records) + "\n")
    return {"C": strength, "valid_accuracy": best, "seconds": round(time.process_time() - began, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("markov", "kmers"))
    parser.add_argument("--train", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = markov(options.train, options.test) if options.what == "markov" else kmers(options.data, options.out)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""Pairs of DNA: chunks against plain cutting, halves that are exact, and nothing that is next taken for random."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.dna_chunks import DnaChunks
from fairseq_littlebird.data.dna_pretraining_dataset import SPECIAL, DnaPretrainingDataset
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertion
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.dna.fasta import FastaReader
from fairseq_littlebird.text.dna.nucleotides import reverse_complement
from fairseq_littlebird.text.masking import Masking


@pytest.fixture(scope="module")
def words(dna):
    return load_dictionary(dna / "data")


@pytest.fixture(scope="module")
def genome(dna):
    records = {}
    for piece in FastaReader(dna / "genome.fa"):
        records[piece.name] = records.get(piece.name, b"") + piece.bases
    return [records[name] for name in ("chr1", "chr2", "chr3")]


def spelled(words, tokens):
    return "".join(words[int(token)] for token in tokens).encode()


def documents_of(folder, words, split):
    """The sentences of each document, lists of tokens."""
    items, documents = MappedItems(folder / split), [[]]
    for n in range(len(items)):
        *tokens, end = items[n].tolist()
        assert end == words.eos()
        if tokens:
            documents[-1].append(tokens)
        else:
            documents.append([])
    return documents[:-1]


def plainly_cut(sentences, most):
    """Chunks as lists of (token, ends a sentence), by taking one token after the other."""
    tokens = [(token, n == len(s) - 1) for s in sentences for n, token in enumerate(s)]
    while tokens:
        part = tokens[:most]
        if len(tokens) > most and any(end for _, end in part):
            part = part[: max(n for n, (_, end) in enumerate(part) if end) + 1]
        tokens = tokens[len(part) :]
        if len(part) > 1:
            yield [token for token, _ in part], [end for _, end in part[:-1]]


@pytest.mark.parametrize("most", [2, 7, 40, 93, 10_000])
def test_chunks_are_what_plain_cutting_gives(dna, words, genome, most):
    chunks = DnaChunks(dna / "data", "train", most, words.eos())
    expected = [c for sentences in documents_of(dna / "data", words, "train") for c in plainly_cut(sentences, most)]
    assert len(chunks) == len(expected) and max(chunks.sizes) <= most
    for n in range(0, len(expected), 1 + len(expected) // 300):
        tokens, ends = expected[n]
        found, found_ends = chunks[n]
        assert found.tolist() == tokens and found_ends.tolist() == [*ends, False] and chunks.sizes[n] == len(tokens)
        place = chunks.place(n)
        within = genome[place.chromosome][place.low : place.high]
        bases = spelled(words, found)
        assert bases in within or bases in reverse_complement(within)
        assert len(within) - len(bases) < 2 * 90  # no more than the rest of two cut sentences


def dataset(dna, words, split="train", most=93, gaps=None, **how):
    masking = Masking(words.index("<mask>"), np.arange(4, len(words) - 2))
    return DnaPretrainingDataset(
        DnaChunks(dna / "data", split, most, words.eos()), words, masking, padding_insertion=gaps, **how
    )


@pytest.fixture(scope="module")
def pairs(dna, words):
    return dataset(dna, words)


def test_half_of_all_pairs_follow_each_other_in_every_epoch(pairs):
    drawn = []
    for epoch in (1, 2, 3):
        pairs.set_epoch(epoch)
        drawn.append([pairs.pair(n).is_next for n in range(len(pairs))])
        assert abs(2 * sum(drawn[-1]) - len(pairs)) <= len(pairs) % 2
        assert drawn[-1][:50] == [pairs.pair(n).is_next for n in range(50)]
    assert drawn[0] != drawn[1] != drawn[2]


def test_a_next_sequence_follows_and_a_random_one_lies_elsewhere(pairs, words, genome):
    pairs.set_epoch(1)
    both = [strand for bases in genome for strand in (bases, reverse_complement(bases))]
    cuts = set()
    for n in range(len(pairs)):
        pair = pairs.pair(n)
        a, b = spelled(words, pair.a), spelled(words, pair.b)
        assert any(a in bases for bases in both) and any(b in bases for bases in both)
        if pair.is_next or min(len(a), len(b)) >= 20:  # a few bases may follow anything
            assert pair.is_next == any(a + b in bases for bases in both)
        assert len(pair.a) and len(pair.b) and len(pair.a) + len(pair.b) <= pairs.chunks.sizes[n]
        cuts.add(pair.a_ends.sum())
        if pairs.chunks[n][1].any():  # cut where a sentence ends
            assert pair.a_ends[-1]
    assert len(cuts) > 3


def test_items_and_batches(dna, words):
    gaps = PaddingInsertion(np.array([False, True]), 1.0, 5, 5)
    pairs = dataset(dna, words, gaps=gaps)
    pairs.set_epoch(2)
    indices = [3, 0, len(pairs) - 1]
    batch = pairs.collater([pairs[n] for n in indices])
    tokens, target = batch["net_input"]["src_tokens"], batch["target"]
    bases = 0
    for row, n in enumerate(indices):
        pair = pairs.pair(n)
        whole = [words.bos(), *pair.a, words.eos(), *pair.b, words.eos()]
        length = len(whole)
        assert batch["net_input"]["src_lengths"][row] == length <= pairs.sizes[n]
        assert (tokens[row, length:] == words.pad()).all() and (target[row, length:] == words.pad()).all()
        start = int(batch["net_input"]["context_starts"][row])
        assert start == len(pair.a) + 2 and batch["is_next"][row] == pair.is_next
        predicted = target[row] != words.pad()
        assert target[row][predicted].tolist() == torch.tensor(whole)[predicted[:length]].tolist()
        assert tokens[row, :length][~predicted[:length]].tolist() == torch.tensor(whole)[~predicted[:length]].tolist()
        assert not predicted[[0, start - 1, length - 1]].any()
        assert abs(int(predicted.sum()) - 0.15 * (length - SPECIAL)) <= 1
        bases += len(spelled(words, target[row][predicted]))
        ends = np.concatenate([[False], pair.a_ends, [True], pair.b_ends, [False]])
        jumps = np.diff(batch["net_input"]["positions"][row, :length].numpy())
        assert jumps.tolist() == np.where(ends[:-1], 6, 1).tolist()
    assert batch["bases"] == bases
    assert batch["masked"].tolist() == (target != words.pad()).flatten().nonzero().flatten().tolist()
    assert batch["ntokens"] == int((tokens != words.pad()).sum()) == len(batch["unpadded"])
    assert "positions" not in dataset(dna, words).collater([pairs[0]])["net_input"]


def test_one_place_has_no_random_sequence(dna, words):
    class One(DnaChunks):
        def __init__(self, chunks):
            self.__dict__ = dict(chunks.__dict__)
            self.sizes = self.sizes[:2]

        def place(self, index):
            return super().place(0)

    with pytest.raises(UserError, match="all sequences lie in one place"):
        DnaPretrainingDataset(
            One(DnaChunks(dna / "data", "train", 93, words.eos())), words, Masking(9, np.arange(4, 9))
        )


def test_places_of_another_split_are_told(dna, words, tmp_path):
    for path in (dna / "data").iterdir():
        name = path.name.replace("valid.places", "train.places") if "places" in path.name else path.name
        if not path.name.startswith("train.places"):
            (tmp_path / name).write_bytes(path.read_bytes())
    with pytest.raises(UserError, match="documents, but .* places; prepare the folder again"):
        DnaChunks(tmp_path, "train", 93, words.eos())

"""Where sequences of a split lie, in the order that a bedGraph file takes them."""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_littlebird.data import split_places
from fairseq_littlebird.inference.genome_tracks import BedGraph
from fairseq_littlebird.text.dna.places import Surroundings


@pytest.mark.parametrize("bases", [100, 20])
def test_sequences_that_were_cut_come_by_what_is_left_of_them(bases, tmp_path, monkeypatch):
    """Of the opposite strand that is their end, behind the beginning of sequences that come later."""
    ids = ["P0:9:100-120(-)", "P1:9:160-180(+)", "P2:9:240-260(-)", "P0:9:100-120(-).negative"]
    (tmp_path / "id").mkdir()
    monkeypatch.setattr(split_places, "MappedItems", lambda path: [np.frombuffer(id.encode(), np.uint8) for id in ids])
    places = split_places.SplitPlaces(tmp_path, "test", Surroundings("start", 60, 40, {"9": 900}))
    track, lines = BedGraph(), []
    for _, place in places.by_sequence(lambda number: bases):
        start, stop = places.sequence(place, bases)
        lines += track.add(place.chromosome, start, np.full(stop - start, float(place.name[1])), 900)
    covered = {base for line in [*lines, *track.end()] for base in range(*map(int, line.split("\t")[1:3]))}
    wholes = ((80, 180), (100, 200), (220, 320))
    parts = ((160, 180), (100, 120), (300, 320))
    assert covered == {base for part in (wholes if bases == 100 else parts) for base in range(*part)}

"""Promoters and their opposites: sequences around start sites, and negatives made of positives."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from itertools import accumulate, pairwise

import numpy as np

from fairseq_littlebird.text.dna.bed import Region
from fairseq_littlebird.text.dna.nucleotides import BASES, reverse_complement
from fairseq_littlebird.text.dna.regions import Cut

PARTS, REPLACED = 20, 12
_BASES = np.frombuffer(BASES.encode(), np.uint8)


def around_start(region: Region, upstream: int, downstream: int) -> Cut:
    """The bases around a region's start site, in the direction of its strand.

    The site is the first base of a region on the forward strand, and the last one of a region on the other.

    Args:
        region: with a strand.
        upstream: bases before the site.
        downstream: bases from the site on.
    """
    if region.strand > 0:
        return Cut(region, region.start - upstream, region.start + downstream)
    return Cut(region, region.end - downstream, region.end + upstream, reverse=True)


def negative(bases: bytes, rng: np.random.Generator, parts: int = PARTS, replaced: int = REPLACED) -> bytes:
    """A sequence that is no promoter, as Oubounyt et al. (2019) make it: most parts of a promoter are random bases.

    Args:
        bases: of a promoter, at least ``parts``.
        rng: draws the parts and the bases.
        parts: of equal length up to a base.
        replaced: how many of them.
    """
    bounds = [len(bases) * n // parts for n in range(parts + 1)]
    chosen = set(rng.permutation(parts)[:replaced].tolist())
    return b"".join(
        rng.choice(_BASES, size=high - low).tobytes() if n in chosen else bases[low:high]
        for n, (low, high) in enumerate(pairwise(bounds))
    )


def fingerprint(bases: bytes, seed: int) -> int:
    """64 bits of a sequence: the same for its opposite strand, so that both are in one split.

    Args:
        bases: of ``ALPHABET``.
        seed: another one gives other bits.
    """
    either = min(bases, reverse_complement(bases))
    return int.from_bytes(blake2b(either, digest_size=8, key=str(seed).encode()).digest(), "little")


def split_of(bits: int, shares: Mapping[str, float]) -> str:
    """The split that a promoter belongs to.

    Args:
        bits: see :func:`fingerprint`.
        shares: of the promoters in each split; they sum to 1.
    """
    wanted = {split: share for split, share in shares.items() if share}
    ends = zip(wanted, accumulate(wanted.values()), strict=True)
    return next((split for split, end in ends if bits / 2**64 < end), [*wanted][-1])

"""Promoters and negatives made of them become a folder of labelled texts; see ``classification_metadata.py``."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_littlebird.data.classification_preparation import prepare_texts
from fairseq_littlebird.data.prepared import SPLITS
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.dna.nucleotides import reverse_complement
from fairseq_littlebird.text.dna.places import NEGATIVE_ID, REVERSE_ID
from fairseq_littlebird.text.dna.promoters import PARTS, REPLACED, fingerprint, negative, split_of
from fairseq_littlebird.text.dna.sequences import Sequence
from fairseq_littlebird.text.dna.vocabulary import check_dna_tokenizer
from fairseq_littlebird.text.tokenizers import Tokenizer

NEGATIVE, POSITIVE = "non-promoter", "promoter"
"""The labels, in the order of their numbers."""


def prepare_promoters(
    positives: Iterable[Sequence],
    tokenizer: Tokenizer,
    dictionary: str | Path,
    destination: str | Path,
    *,
    shares: Mapping[str, float],
    parts: int = PARTS,
    replaced: int = REPLACED,
    seed: int = 1,
    max_tokens: int | None = None,
    both_strands: bool = False,
    workers: int = 1,
    overwrite: bool = False,
    genome: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes a folder for ``--task littlebird_sentence_prediction``.

    A negative is in the split of the promoter that it is made of. The split and the negative of a promoter depend on
    its bases and the seed alone; the same promoter, on either strand, is taken once.

    Args:
        positives: promoters.
        tokenizer: of the letters A, C, G, T and N; its symbols are the dictionary's.
        dictionary: dict.txt, copied as it is.
        destination: the folder.
        shares: of the promoters in each of ``SPLITS``; they sum to 1.
        parts, replaced: see :func:`fairseq_littlebird.text.dna.promoters.negative`.
        seed: random seed.
        max_tokens: the most tokens of a sequence, ``<s>`` and ``</s>`` included; what is longer is cut at its end.
        both_strands: whether the training split has the opposite strand of each sequence, too.
        workers: processes that tokenize; 0 or 1 for none.
        overwrite: whether to replace a prepared folder.
        genome: the fields of :class:`Surroundings`, once ``positives`` have ended; None or empty for none.
    Returns:
        the summary of each split, see ``classification_preparation.summary_lines``; and the promoters that were left
        out: ``repeated``, as they were there before, and ``unknown``, which are N alone.
    Raises:
        UserError: bad input, named by file and line, or a split without a promoter.
    """
    check_dna_tokenizer(tokenizer, next(iter(tokenizer.files.values()), dictionary))
    wanted = {split: share for split, share in shares.items() if share}
    seen: set[int] = set()
    count: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        files = {split: Path(name) / f"{split}.jsonl" for split in wanted}
        streams = {split: stack.enter_context(path.open("w", encoding="utf-8")) for split, path in files.items()}
        for positive in positives:
            if len(positive.bases) < parts:
                raise UserError(f"{len(positive.bases)} bases, fewer than {parts} parts", positive.where)
            if not positive.bases.strip(b"N"):
                count["unknown"] += 1
                continue
            bits = fingerprint(positive.bases, seed)
            if bits in seen:
                count["repeated"] += 1
                continue
            seen.add(bits)
            split = split_of(bits, shares)
            count[split] += 1
            other = negative(positive.bases, np.random.default_rng([seed, bits]), parts, replaced)
            own = [
                (positive.name, positive.bases, POSITIVE),
                (f"{positive.name}{NEGATIVE_ID}", other, NEGATIVE),
            ]
            if both_strands and split == SPLITS[0]:
                own += [(f"{id}{REVERSE_ID}", reverse_complement(bases), label) for id, bases, label in own]
            for id, bases, label in own:
                record = {"id": id, "text": bases.decode("ascii"), "label": label}
                streams[split].write(json.dumps(record) + "\n")
        for split, stream in streams.items():
            stream.close()
            if not count[split]:
                raise UserError(f"no promoter in the split {split!r}", remedy="give more promoters, or other shares")
        labels = Path(name) / "labels.txt"
        labels.write_text(f"{NEGATIVE}\n{POSITIVE}\n", "utf-8")
        summaries: dict[str, Any] = prepare_texts(
            {split: [files[split]] if split in files else [] for split in SPLITS},
            tokenizer,
            dictionary,
            destination,
            labels=labels,
            max_tokens=max_tokens,
            workers=workers,
            overwrite=overwrite,
            genome=genome,
        )
    return {"splits": summaries, "repeated": count["repeated"], "unknown": count["unknown"]}

"""Sequences with chromatin profiles become a folder of labelled texts; see ``classification_metadata.py``.

Beside what that page has, ``SPLIT.gold.npy``, uint8, has a row for each sequence of the validation and test splits and
a column for each label, 1 where the sequence has it; ``SPLIT.gold.json`` would be many times as large.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from fairseq_littlebird.data.classification_metadata import DATASET, VERSION
from fairseq_littlebird.data.classification_preparation import TextEncoder
from fairseq_littlebird.data.classification_writer import PARTS, SplitWriter, begin_folder
from fairseq_littlebird.data.dictionary import read_dictionary
from fairseq_littlebird.data.preparation import SMALLEST_WINDOW, check_match
from fairseq_littlebird.data.prepared import SPLITS
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.problem_type import MULTI_LABEL
from fairseq_littlebird.formats.texts import Text
from fairseq_littlebird.output import check_folder, whole_folder
from fairseq_littlebird.text.dna.vocabulary import check_dna_tokenizer
from fairseq_littlebird.text.row_array import RowArray
from fairseq_littlebird.text.tokenizers import Tokenizer
from fairseq_littlebird.text.workers import ordered_map

SCORED = ("valid", "test")
NAMES = (*PARTS, "prepared.json", *(f"{split}.gold.npy" for split in SCORED))


class Profile(NamedTuple):
    """A sequence and its labels.

    Args:
        split: one of ``SPLITS``.
        id: no other of its split has it.
        bases: of A, C, G, T and N.
        labels: numbers from 0, ascending.
    """

    split: str
    id: str
    bases: bytes
    labels: Sequence[int]


def prepare_chromatin(
    profiles: Iterable[Profile],
    names: Sequence[str],
    tokenizer: Tokenizer,
    dictionary: str | Path,
    destination: str | Path,
    *,
    max_tokens: int | None = None,
    workers: int = 1,
    overwrite: bool = False,
    genome: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """Writes a folder for ``--task littlebird_sentence_prediction``, the same one for any number of workers.

    Args:
        profiles: of all splits, in any order; each split keeps its own.
        names: of the labels, in the order of their numbers.
        tokenizer: of the letters A, C, G, T and N; its symbols are the dictionary's.
        dictionary: dict.txt, copied as it is.
        destination: the folder.
        max_tokens: the most tokens of a sequence, ``<s>`` and ``</s>`` included; what is longer is cut at its end.
        workers: processes that tokenize; 0 or 1 for none.
        overwrite: whether to replace a prepared folder.
        genome: the fields of :class:`Surroundings`, once ``profiles`` have ended; None or empty for none.
    Returns:
        the summary of each split, see ``classification_preparation.summary_lines``.
    Raises:
        UserError: bad input, named by file and line; the destination is left as it was.
    """
    if max_tokens is not None and max_tokens < SMALLEST_WINDOW:
        raise UserError(f"--max-tokens {max_tokens}", remedy=f"give at least {SMALLEST_WINDOW}")
    check_folder(destination, NAMES, overwrite)
    symbols = read_dictionary(Path(dictionary))
    check_match(symbols, tokenizer, Path(dictionary))
    check_dna_tokenizer(tokenizer, next(iter(tokenizer.files.values()), dictionary))
    encode = _Encoder(TextEncoder(tokenizer, symbols, max_tokens))
    counts: dict[str, Counter[str]] = {}
    positives: dict[str, np.ndarray] = {}
    parts = [part for part in PARTS if part != "input1"]
    with whole_folder(destination, NAMES, overwrite) as folder, ExitStack() as stack:
        begin_folder(folder, parts, tokenizer, Path(dictionary), len(names))
        writers: dict[str, SplitWriter] = {}
        golds: dict[str, RowArray] = {}
        progress = stack.enter_context(tqdm(desc="preparing", unit=" sequences", mininterval=0.5))
        for profile, tokens, count in ordered_map(encode, profiles, workers):
            split = profile.split
            if split not in writers:
                writers[split] = stack.enter_context(SplitWriter(folder, split, parts))
                if split in SCORED:
                    golds[split] = stack.enter_context(RowArray(folder / f"{split}.gold.npy", len(names), np.uint8))
                counts[split], positives[split] = Counter(), np.zeros(len(names), np.int64)
            writers[split].add(tokens, label=profile.labels, id=profile.id)
            if split in golds:
                golds[split].add(np.bincount([*profile.labels], minlength=len(names)))
            counts[split].update(count)
            counts[split]["longest"] = max(counts[split]["longest"], count["tokens"])
            positives[split][[*profile.labels]] += 1
            progress.update()
        if not counts:
            raise UserError("no sequence for any split", remedy="check the chromosomes of the splits")
        summaries = {
            split: dict(counts[split])
            | {"skipped": [], "notes": {}, "labelled": True}
            | {"labels": dict(zip(names, positives[split].tolist(), strict=True))}
            for split in SPLITS
            if split in counts
        }
        settings = {
            "version": VERSION,
            "dataset": DATASET,
            "tokenizer": {"kind": tokenizer.kind, "files": sorted(tokenizer.files)},
            "max_tokens": max_tokens,
            "problem_type": MULTI_LABEL,
            "labels": list(names),
            **({"genome": genome} if genome else {}),
            "splits": summaries,
        }
        text = json.dumps(settings, indent=1, ensure_ascii=False)
        (folder / "prepared.json").write_text(text + "\n", encoding="utf-8")
    return summaries


class _Encoder:
    """Tokenizes a sequence and cuts it; runs in the worker processes."""

    def __init__(self, encode: TextEncoder) -> None:
        self._encode = encode

    def __call__(self, profile: Profile) -> tuple[Profile, list[int], dict[str, int]]:
        found = self._encode(Text(profile.id, profile.id, profile.bases.decode("ascii"), None, None, None))
        return profile._replace(bases=b""), found.tokens[0], found.counts

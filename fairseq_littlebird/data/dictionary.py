"""The dictionary every task of the plugin shares, and what its words say."""

from __future__ import annotations

import json
from pathlib import Path

from fairseq.data import Dictionary

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.vocabulary import Vocabulary

QUESTION, MASK = "[QUESTION]", "<mask>"


def load_dictionary(folder: str | Path) -> Dictionary:
    """``dict.txt`` of a data folder, with <mask>, and [QUESTION] where the file lacks it, at the end.

    Every task of the plugin gives the same words the same ids, so a checkpoint of one starts another.

    Raises:
        UserError: there is no dictionary, or it cannot be read.
    """
    path = Path(folder) / "dict.txt"
    try:
        dictionary = Dictionary.load(str(path))
    except FileNotFoundError as error:
        raise UserError("not found", str(path), "make it with fairseq-preprocess or littlebird-prepare") from error
    except OSError:
        raise
    except Exception as error:  # fairseq raises bare Exception, RuntimeError and ValueError here
        raise UserError(f"not a dictionary ({error})", str(path), "one word and its count a line") from error
    dictionary.add_symbol(MASK)
    dictionary.add_symbol(QUESTION)
    return dictionary


def vocabulary(dictionary: Dictionary, folder: str | Path) -> Vocabulary:
    """What the dictionary's words say of themselves.

    RoBERTa's dictionary holds numbers; GPT-2's ``encoder.json`` in ``folder`` turns them into pieces.

    Raises:
        UserError: the words are numbers, and nothing says what they stand for.
    """
    specials = {*range(dictionary.nspecial), dictionary.index(MASK), dictionary.index(QUESTION)}
    if sum(map(str.isdecimal, dictionary.symbols)) > len(dictionary) / 2:
        encoder = Path(folder) / "encoder.json"
        if encoder.exists():
            return Vocabulary(dictionary.symbols, specials, _pieces(encoder))
        raise UserError(
            "the words are numbers, as in RoBERTa's dictionary",
            str(Path(folder) / "dict.txt"),
            "put the encoder.json of the byte-level BPE beside it",
        )
    return Vocabulary(dictionary.symbols, specials)


def _pieces(encoder: Path) -> dict[str, str]:
    """The piece behind each number of an ``encoder.json``."""
    try:
        numbers = json.loads(encoder.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError("not JSON", str(encoder), "copy it again") from error
    if not isinstance(numbers, dict) or not all(isinstance(number, int) for number in numbers.values()):
        raise UserError("not {piece: number, ...}", str(encoder), "copy the encoder.json of the byte-level BPE")
    return {str(number): piece for piece, number in numbers.items()}

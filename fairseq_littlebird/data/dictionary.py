"""The dictionary every task of the plugin shares, and what its tokens say."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

from fairseq.data import Dictionary

from fairseq_littlebird.checkpoints.dictionary import ADDED, SPECIAL
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inputs import check_rereadable
from fairseq_littlebird.text.vocabulary import Vocabulary


def load_dictionary(folder: str | Path, added: Sequence[str] = ADDED) -> Dictionary:
    """``dict.txt`` of a data folder, with <mask>, and [QUESTION] where the file lacks it, at the end.

    Every task of the plugin gives the same tokens the same ids, so a checkpoint of one starts another.

    Args:
        folder: with the file.
        added: symbols to append where the file lacks them; none for language models, as in fairseq's task.
    Raises:
        UserError: there is no dictionary, or it cannot be read.
    """
    path = Path(folder) / "dict.txt"
    try:
        return read_dictionary(path, added)
    except FileNotFoundError as error:
        raise UserError("not found", str(path), "make it with fairseq-preprocess or littlebird-prepare") from error


def read_dictionary(path: Path, added: Sequence[str] = ADDED) -> Dictionary:
    """A dict.txt as :func:`load_dictionary` has it, with or without a byte-order mark.

    The special symbols keep the ids that fairseq gives them, also where a line of the file overwrites one: fairseq
    moves the symbol then, and not ``bos()`` and its like, which its own data sets take (facebookresearch/fairseq#3064).

    Raises:
        UserError: it cannot be read.
        OSError: it is not there.
    """
    check_rereadable(path)  # it is also copied
    try:
        text = path.read_text("utf-8-sig")
        dictionary = Dictionary.load(io.StringIO(text))
    except OSError:
        raise
    except UnicodeDecodeError as error:
        raise UserError("not UTF-8 text", str(path), "convert the file to UTF-8") from error
    except Exception as error:  # fairseq raises bare Exception, RuntimeError and ValueError here
        raise UserError(f"not a dictionary ({error})", str(path), "one symbol and its count a line") from error
    for symbol, index in zip(SPECIAL, range(dictionary.nspecial), strict=True):
        dictionary.indices[symbol] = index
    for symbol in added:
        dictionary.add_symbol(symbol, n=0)
    return dictionary


def vocabulary(dictionary: Dictionary, folder: str | Path) -> Vocabulary:
    """What the dictionary's tokens say of themselves.

    RoBERTa's dictionary holds numbers; GPT-2's ``encoder.json`` in ``folder`` turns them into pieces.

    Raises:
        UserError: the tokens are numbers, and nothing says what they stand for.
    """
    names = {*SPECIAL, *ADDED}  # a file may have overwritten some, which leaves unused embeddings
    specials = {index for index, symbol in enumerate(dictionary.symbols) if symbol in names}
    if sum(map(str.isdecimal, dictionary.symbols)) > len(dictionary) / 2:
        encoder = Path(folder) / "encoder.json"
        if encoder.exists():
            return Vocabulary(dictionary.symbols, specials, _pieces(encoder))
        raise UserError(
            "its symbols are numbers, as in RoBERTa's dictionary",
            str(Path(folder) / "dict.txt"),
            "put the encoder.json of the byte-level BPE into the same folder",
        )
    return Vocabulary(dictionary.symbols, specials)


def _pieces(encoder: Path) -> dict[str, str]:
    """The piece behind each number of an ``encoder.json``."""
    try:
        numbers = json.loads(encoder.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError("not JSON", str(encoder), "copy it again") from error
    if not isinstance(numbers, dict) or not all(isinstance(number, int) for number in numbers.values()):
        raise UserError("not {piece: number, ...}", str(encoder), "copy the encoder.json of the byte-level BPE")
    return {str(number): piece for piece, number in numbers.items()}

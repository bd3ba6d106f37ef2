"""Which row of a source's word table each word of fairseq's dictionary takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fairseq_littlebird.checkpoints.dictionary import MASK, QUESTION, SPECIAL, dictionary_lines
from fairseq_littlebird.errors import UserError

HTML_TAGS = tuple(
    f"<{slash}{tag}>"
    for tag in ("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "table", "tr", "th", "td")
    for slash in ("", "/")
)
"""The tags that carry a document's structure: paragraphs, headings, lists and tables."""


@dataclass(frozen=True)
class Words:
    """A dictionary, and where its rows come from.

    Args:
        symbols: every word, in the order of fairseq's ids: its four special ones, the lines of dict.txt, <mask>
            (unless it is one of the lines).
        lines: dict.txt.
        rows: for each word the source's row, or None for a new word.
        unused: the source's rows that no word takes, under the source's name for them.
    """

    symbols: list[str]
    lines: list[str]
    rows: list[int | None]
    unused: dict[int, str] = field(default_factory=dict)

    @property
    def new(self) -> list[str]:
        return [symbol for symbol, row in zip(self.symbols, self.rows, strict=True) if row is None]

    def row(self, symbol: str) -> int | None:
        return self.rows[self.symbols.index(symbol)]


def words_of_tokenizer(
    symbols: Sequence[str], numbers: Mapping[str, int], count: int, new: Sequence[str], where: str
) -> Words:
    """A dictionary for a source whose rows are its tokenizer's numbers.

    Args:
        symbols: what the tokenizer returns.
        numbers: its number for each of them, for fairseq's special words and <mask>, and for all others.
        count: rows of the source's table.
        new: words to add after [QUESTION]; those that are there already stay as they are.
        where: the source's path, for messages.
    Raises:
        UserError: the tokenizer is not the source's, or lacks a special word; a new word that dict.txt cannot hold.
    """
    special = [symbol for symbol in (*SPECIAL, MASK) if symbol not in numbers]
    if special:
        raise UserError(
            f"the tokenizer has no {', '.join(special)}, nor BERT's names for them", where, "add them to the tokenizer"
        )
    size = max(numbers.values()) + 1
    if size != count:
        raise UserError(
            f"the tokenizer has {size} words, the model {count} rows of word embeddings",
            where,
            "give the tokenizer that the model was trained with",
        )
    listed = list(dict.fromkeys(symbols))
    lines = [f"{symbol} 1" for symbol in listed]
    rows = {symbol: numbers[symbol] for symbol in (*SPECIAL, MASK, *listed)}
    names = {number: name for name, number in numbers.items()}
    used = {*rows.values()}
    unused = {row: names.get(row, "") for row in range(count) if row not in used}
    return _with_new(lines, rows, new, where, unused)


def words_of_dictionary(content: bytes, count: int, new: Sequence[str], where: str) -> Words:
    """The dictionary of a source that fairseq trained, whose rows are in its order.

    Args:
        content: its dict.txt.
        count, new, where: see :func:`words_of_tokenizer`.
    Raises:
        UserError: the dictionary is not the source's, or a new word that dict.txt cannot hold.
    """
    lines = [f"{symbol} {times}" for symbol, times in dictionary_lines(content, f"{where}, dict.txt")]
    symbols = _ids(lines, where)
    if len(symbols) != count:
        raise UserError(
            f"the dictionary has {len(symbols)} words with {', '.join(SPECIAL)} and {MASK}, "
            f"the model {count} rows of word embeddings",
            where,
            "give the dict.txt that the model was trained with",
        )
    return _with_new(lines, {symbol: row for row, symbol in enumerate(symbols)}, new, where, {})


def _with_new(
    lines: list[str], rows: Mapping[str, int], new: Sequence[str], where: str, unused: dict[int, str]
) -> Words:
    for word in new:
        if word.split() != [word]:
            raise UserError(f"{word!r} cannot be a word of dict.txt", remedy="add words without white space")
    added = [word for word in dict.fromkeys([QUESTION, *new]) if word not in rows]
    lines = lines + [f"{word} 0" for word in added]
    symbols = _ids(lines, where)
    return Words(symbols, lines, [rows.get(symbol) for symbol in symbols], unused)


def _ids(lines: Sequence[str], where: str) -> list[str]:
    """Every word in the order of the ids that fairseq gives it."""
    symbols = [*SPECIAL, *(line.rsplit(" ", 1)[0] for line in lines)]
    if MASK not in symbols:
        symbols.append(MASK)
    if len({*symbols}) != len(symbols):
        twice = sorted(symbol for symbol, count in Counter(symbols).items() if count > 1)
        raise UserError(f"words that stand twice: {', '.join(twice)}", f"{where}, dict.txt", "name each word once")
    return symbols


def xlm_roberta_numbers(pieces: Mapping[str, int]) -> dict[str, int]:
    """XLM-R's numbers for the pieces of its SentencePiece model, which has neither <pad> nor <mask>.

    Args:
        pieces: the model's own numbers.
    """
    shifted = {piece: number + 1 for piece, number in pieces.items() if piece not in SPECIAL}
    return shifted | {symbol: row for row, symbol in enumerate(SPECIAL)} | {MASK: len(pieces) + 1}

"""Which of a source's token embeddings each token of fairseq's dictionary takes."""

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


PEGASUS_OFFSET = 103
"""Ids of Pegasus' own special tokens, before those of its SentencePiece model."""
MULTIPLES = (8, 16, 32, 64, 128, 256, 512)
"""Tables of token embeddings may be rounded up to a multiple of one of these: the added rows belong to no token."""


@dataclass(frozen=True)
class VocabularyMap:
    """A dictionary, and which of the source's tokens each of its tokens is.

    Args:
        symbols: every token, in the order of fairseq's ids: the four special ones, the lines of dict.txt, <mask>
            (unless it is one of the lines).
        lines: dict.txt.
        source_ids: for each token its id in the source, or None for a new token.
        unused: the source's ids that are not in the dictionary, with the source's name for each.
    """

    symbols: list[str]
    lines: list[str]
    source_ids: list[int | None]
    unused: dict[int, str] = field(default_factory=dict)

    @property
    def new(self) -> list[str]:
        return [symbol for symbol, id_ in zip(self.symbols, self.source_ids, strict=True) if id_ is None]

    def source_id(self, symbol: str) -> int | None:
        return self.source_ids[self.symbols.index(symbol)]


def map_of_tokenizer(
    symbols: Sequence[str], numbers: Mapping[str, int], count: int, new: Sequence[str], where: str
) -> VocabularyMap:
    """A dictionary for a source whose ids are its tokenizer's.

    Args:
        symbols: what the tokenizer returns.
        numbers: its id for each of them, for fairseq's special tokens and <mask>, and for all others.
        count: token embeddings of the source.
        new: tokens to add after [QUESTION]; those that are there already stay as they are.
        where: the source's path, for messages.
    Raises:
        UserError: the tokenizer is not the source's, or lacks a special token; a new token that dict.txt cannot hold.
    """
    special = [symbol for symbol in (*SPECIAL, MASK) if symbol not in numbers]
    if special:
        raise UserError(
            f"the tokenizer has no {', '.join(special)}, nor BERT's names for them", where, "add them to the tokenizer"
        )
    size = max(numbers.values()) + 1
    if count not in (size, *(-(-size // multiple) * multiple for multiple in MULTIPLES)):
        raise UserError(
            f"the tokenizer has {size} tokens, the model {count} token embeddings",
            where,
            "give the tokenizer that the model was trained with",
        )
    listed = list(dict.fromkeys(symbols))
    lines = [f"{symbol} 1" for symbol in listed]
    source_ids = {symbol: numbers[symbol] for symbol in (*SPECIAL, MASK, *listed)}
    names = {number: name for name, number in numbers.items()}
    used = {*source_ids.values()}
    unused = {number: names.get(number, "") for number in range(count) if number not in used}
    return _with_new(lines, source_ids, new, where, unused)


def map_of_dictionary(content: bytes, count: int, new: Sequence[str], where: str) -> VocabularyMap:
    """The dictionary of a source that fairseq trained, whose ids are in its order.

    Args:
        content: its dict.txt.
        count, new, where: see :func:`map_of_tokenizer`.
    Raises:
        UserError: the dictionary is not the source's, or a new token that dict.txt cannot hold.
    """
    lines = [f"{symbol} {times}" for symbol, times in dictionary_lines(content, f"{where}, dict.txt")]
    symbols = _ids(lines, where)
    if len(symbols) != count:
        raise UserError(
            f"the dictionary has {len(symbols)} tokens with {', '.join(SPECIAL)} and {MASK}, "
            f"the model {count} token embeddings",
            where,
            "give the dict.txt that the model was trained with",
        )
    return _with_new(lines, {symbol: number for number, symbol in enumerate(symbols)}, new, where, {})


def _with_new(
    lines: list[str], source_ids: Mapping[str, int], new: Sequence[str], where: str, unused: dict[int, str]
) -> VocabularyMap:
    for token in new:
        if token.split() != [token]:
            raise UserError(f"{token!r} cannot be a token of dict.txt", remedy="add tokens without white space")
    added = [token for token in dict.fromkeys([QUESTION, *new]) if token not in source_ids]
    lines = lines + [f"{token} 0" for token in added]
    symbols = _ids(lines, where)
    return VocabularyMap(symbols, lines, [source_ids.get(symbol) for symbol in symbols], unused)


def _ids(lines: Sequence[str], where: str) -> list[str]:
    """Every token in the order of the ids that fairseq gives it."""
    symbols = [*SPECIAL, *(line.rsplit(" ", 1)[0] for line in lines)]
    if MASK not in symbols:
        symbols.append(MASK)
    if len({*symbols}) != len(symbols):
        twice = sorted(symbol for symbol, count in Counter(symbols).items() if count > 1)
        raise UserError(f"tokens that occur twice: {', '.join(twice)}", f"{where}, dict.txt", "list each token once")
    return symbols


def xlm_roberta_numbers(pieces: Mapping[str, int]) -> dict[str, int]:
    """XLM-R's numbers for the pieces of its SentencePiece model, which has neither <pad> nor <mask>.

    Args:
        pieces: the model's own numbers.
    """
    shifted = {piece: number + 1 for piece, number in pieces.items() if piece not in SPECIAL}
    return shifted | {symbol: number for number, symbol in enumerate(SPECIAL)} | {MASK: len(pieces) + 1}


def pegasus_numbers(pieces: Mapping[str, int], special_ids: Mapping[str, int], count: int) -> dict[str, int]:
    """Pegasus' ids for the pieces of its SentencePiece model, which stand after 103 special ones or among them.

    Args:
        pieces: the model's own numbers.
        special_ids: of <s>, <pad> and </s>, from the configuration.
        count: token embeddings of the source.
    """
    offset = PEGASUS_OFFSET if max(pieces.values()) + 1 + PEGASUS_OFFSET == count else 0
    numbers = {piece: number + offset for piece, number in pieces.items() if not offset or number > 1}
    mask = next((name for name in (MASK, "[MASK]", "<mask_2>") if name in numbers), None)
    numbers[MASK] = numbers[mask] if mask else 3  # <mask_2>
    return numbers | dict(special_ids)

"""Tokens of a document of which the model reads only some, or something else in its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fairseq_littlebird.text.example import Piece
from fairseq_littlebird.text.tokenizers import Tokenizer


def encode_pieces(
    tokenizer: Tokenizer, document: str, pieces: Iterable[Piece]
) -> tuple[list[str], list[tuple[int, int]]]:
    """Symbols, and the [start, end) characters of the document that each stands for.

    Texts between two symbols are tokenized as one, so a word may run over pieces.

    Args:
        tokenizer: of the texts.
        document: what the pieces refer to.
        pieces: in the document's order.
    """
    symbols: list[str] = []
    offsets: list[tuple[int, int]] = []
    for run in _runs(pieces):
        if run[0].symbol:
            symbols.append(run[0].symbol)
            offsets.append((run[0].start, run[0].stop))
            continue
        text, characters = _joined(document, run)
        found, places = tokenizer.encode(text)
        symbols.extend(found)
        end = run[-1].stop
        for start, stop in places:
            first = characters[start][0] if start < len(characters) else end
            offsets.append((first, characters[stop - 1][1] if stop > start else first))
    return symbols, offsets


def _runs(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Each symbol alone, texts together."""
    run: list[Piece] = []
    for piece in pieces:
        if piece.symbol:
            if run:
                yield run
            yield [piece]
            run = []
        else:
            run.append(piece)
    if run:
        yield run


def _joined(document: str, run: list[Piece]) -> tuple[str, list[tuple[int, int]]]:
    """The text of a run, and what each of its characters stands for."""
    texts: list[str] = []
    characters: list[tuple[int, int]] = []
    for piece in run:
        if piece.text is None:
            texts.append(document[piece.start : piece.stop])
            characters.extend((i, i + 1) for i in range(piece.start, piece.stop))
        else:
            texts.append(piece.text)
            characters.extend([(piece.start, piece.stop)] * len(piece.text))
    return "".join(texts), characters

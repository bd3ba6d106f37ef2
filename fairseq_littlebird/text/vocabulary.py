"""What the symbols of a dictionary say about words: where they begin, what they are, what ends a sentence."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

# A span of such words only says too little to be asked for.
ENGLISH_STOP_WORDS = frozenset(
    """a about after all also an and any are as at be because been before being both but by can could
    did do does down each either even few for from had has have having he her here hers him his how i if
    in into is it its just like made make many may me might more most much must my no nor not now of off
    on one only or other our out over own said same she should so some such than that the their them
    then there these they this those through to too under until up upon us very was we well were what
    when where which while who whom whose why will with would yes yet you your""".split()
)
# Function words, and the particles and endings that follow a word, as a piece of it or after punctuation.
KOREAN_STOP_WORDS = frozenset(
    """가장 같은 같이 거의 것 곧 그 그것 그는 그들 그러나 그런 그리고 그녀 나 나는 내 너 너무 누구 다른
    다시 대한 대해 더 더욱 된 등 때 때문 또 또는 또한 많은 매우 모두 모든 및 바로 수 아니 아주 약 어떤
    어느 여기 우리 위해 위한 의해 이것 이는 이런 이를 이후 있는 있다 있어 있으며 자신 저 저는 제 좀 중
    즉 지금 통해 하지만 함께 하며 할 해 없는 없다 가 고 과 까지 는 다 도 들 라 로 를 만 며 보다 부터 서
    에 에게 에서 와 으로 은 을 의 이 이나 이다 인 처럼 하고 하는 하다 한 한다 했다""".split()
)

WORD_START, CONTINUATION, BYTE_WORD_START = "▁", "##", "Ġ"


def _byte_alphabet() -> dict[str, int]:
    """How GPT-2's byte BPE writes bytes: printable ones as themselves, the others from character 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_alphabet()
TAIL = "\0"  # outline of a piece that goes on with the character of the piece before it


def _read_bytes(piece: bytes) -> tuple[bool, str, str]:
    """As ``Vocabulary._read``, for a piece that may be only a part of a character."""
    begins = piece[:1].isspace()
    try:
        surface = piece.decode("utf-8").strip()
        return begins, surface, surface
    except UnicodeDecodeError:
        first = piece.lstrip()[0]
        if 0x80 <= first < 0xC0:
            return begins, "", TAIL
        # Characters with these first bytes are signs: dashes and curly quotes, arrows, emoji.
        return begins, "", "-" if first in (0xC2, 0xE2, 0xF0) else "a"


def _flags(values: Iterable[bool]) -> np.ndarray:
    return np.fromiter(values, dtype=bool)


def _find_marker(texts: Iterable[str]) -> str:
    """The marker that the most pieces begin with, or an empty string."""
    markers = (WORD_START, BYTE_WORD_START, CONTINUATION)
    counts = Counter(marker for text in texts for marker in markers if text.startswith(marker))
    return counts.most_common(1)[0][0] if counts else ""


def _is_word_character(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character)[0] == "M"  # marks combine with letters


class Vocabulary:
    """Facts about every token, as arrays over the vocabulary (V = number of symbols).

    Args:
        symbols: all symbols of the dictionary, in the order of their ids.
        specials: ids that stand for no text: ``<s>``, ``<pad>``, ``[QUESTION]``, ….
        pieces: for a dictionary of numbers (RoBERTa's ``dict.txt``): the piece behind each number.

    The marker of words is found in the symbols: ``▁`` (SentencePiece) or ``Ġ`` (byte BPE) where a word
    starts, ``##`` (WordPiece) where one goes on. Without any of these each symbol is a word.

    Attributes:
        surfaces: list of V str, the text of each token without its marker; empty for special tokens and for
            pieces that are only a part of a character's bytes.
        begins_word: bool [V], the marker says that a word starts here.
        alphanumeric: bool [V], the surface is not empty and only letters, digits and their combining marks.
        stop_word: bool [V], the surface is a stop word of English or Korean.
        hangul: bool [V], the surface begins with a Hangul syllable.
        special: bool [V].
    """

    def __init__(
        self, symbols: Sequence[str], specials: Collection[int], pieces: Mapping[str, str] | None = None
    ) -> None:
        self.special = np.zeros(len(symbols), dtype=bool)
        self.special[list(specials)] = True
        texts = list(symbols)
        if pieces is not None:
            # Symbols outside the table, such as fill-up tokens, never stand for text.
            self.special |= _flags(symbol not in pieces for symbol in symbols)
            texts = [pieces.get(symbol, "") for symbol in symbols]
        texts = ["" if special else text for text, special in zip(texts, self.special, strict=True)]
        self.marker = _find_marker(texts)
        read = [self._read(text) if text else (False, "", "") for text in texts]
        self.surfaces = [surface for _, surface, _ in read]
        self.begins_word = _flags(begins for begins, _, _ in read)
        self.alphanumeric = _flags(bool(s) and all(map(_is_word_character, s)) for s in self.surfaces)
        self.stop_word = _flags(self._is_stop_word(begins, surface) for begins, surface, _ in read)
        self.hangul = _flags("가" <= surface[:1] <= "힣" for surface in self.surfaces)
        outlines = [outline for _, _, outline in read]
        self._tail = _flags(outline == TAIL for outline in outlines)
        self._opens_inside = _flags(_is_word_character(outline[:1] or " ") for outline in outlines)
        self._closes_inside = _flags(_is_word_character(outline[-1:] or " ") for outline in outlines)

    def __len__(self) -> int:
        return len(self.surfaces)

    def word_boundaries(self, tokens: np.ndarray) -> np.ndarray:
        """Whether a word may end before and start at each place between tokens.

        There is a boundary where the marker says so, next to every character that is not a letter or digit
        (``(dog)`` holds the word ``dog`` under every tokenizer), beside special tokens, and at both ends.

        Args:
            tokens: int [L].

        Returns:
            bool [L + 1]; entry i is the place before token i, entry L the end.
        """
        result = np.ones(len(tokens) + 1, dtype=bool)
        opens, closes, tail = self._opens_inside[tokens], self._closes_inside[tokens], self._tail[tokens]
        for _ in range(3 * tail.any()):  # a character has at most three bytes after its first
            closes[1:] = np.where(tail[1:], closes[:-1], closes[1:])
        result[1:-1] = self.begins_word[tokens[1:]] | (~closes[:-1] | ~opens[1:]) & ~tail[1:]
        return result

    def sentence_end(self, marks: str = ".?!") -> np.ndarray:
        """bool [V]: tokens made of ``marks`` only (``.``, ``?!``, ``...``)."""
        allowed = set(marks)
        return _flags(bool(surface) and set(surface) <= allowed for surface in self.surfaces)

    def _read(self, text: str) -> tuple[bool, str, str]:
        """(begins a word, surface, what decides on the boundaries beside it) of one piece."""
        if self.marker == CONTINUATION:
            continues = text.startswith(CONTINUATION) and text != CONTINUATION
            surface = text[2:] if continues else text
            return not continues, surface, surface
        if self.marker == BYTE_WORD_START:
            if all(character in _BYTES for character in text):
                return _read_bytes(bytes(_BYTES[character] for character in text))
            return text[:1].isspace(), text.strip(), text.strip()  # an added token, in plain text
        if self.marker == WORD_START:
            if byte := re.fullmatch(r"<0x([0-9A-F]{2})>", text):
                return _read_bytes(bytes([int(byte[1], 16)]))
            surface = text.replace(WORD_START, " ").strip()
            return text.startswith(WORD_START), surface, surface
        return True, text, text

    def _is_stop_word(self, begins: bool, surface: str) -> bool:
        # Byte BPE and SentencePiece have no marker after punctuation, so only "##" rules out a whole word.
        whole = begins or self.marker != CONTINUATION
        return surface in KOREAN_STOP_WORDS or (whole and surface.lower() in ENGLISH_STOP_WORDS)

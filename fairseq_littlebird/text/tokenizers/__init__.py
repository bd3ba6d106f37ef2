"""Tokenizers that return dictionary symbols and exact character offsets into the text as given.

Offsets, for every tokenizer and any Unicode text:

- each token covers, with [start, end), the characters that it was made of;
- starts and ends never decrease; two tokens overlap only where both come from one character (the bytes of
  an emoji, the letters of a ligature), which both then cover whole;
- white space and characters that the tokenizer's normalizer deletes belong to no token, unless they lie
  between two characters of one token, or the token is made of nothing else; combining marks stay with
  their base character.

Text never becomes a special symbol: ``<s>`` or ``[QUESTION]`` in a document is text like any other.
"""

from fairseq_littlebird.text.tokenizers.base import (
    FILES,
    QUESTION,
    RESERVED,
    SPECIAL,
    UNKNOWN,
    Tokenizer,
    dictionary_text,
    is_dictionary_symbol,
    without_surrogates,
)
from fairseq_littlebird.text.tokenizers.characters import BYTES, CHARACTERS, ByteTokenizer, CharacterTokenizer
from fairseq_littlebird.text.tokenizers.library_tokenizer import LibraryTokenizer
from fairseq_littlebird.text.tokenizers.loading import load_tokenizer
from fairseq_littlebird.text.tokenizers.sentencepiece_tokenizer import SentencePieceTokenizer
from fairseq_littlebird.text.tokenizers.words import WordTokenizer

__all__ = [
    "BYTES",
    "CHARACTERS",
    "FILES",
    "QUESTION",
    "RESERVED",
    "SPECIAL",
    "UNKNOWN",
    "ByteTokenizer",
    "CharacterTokenizer",
    "LibraryTokenizer",
    "SentencePieceTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "dictionary_text",
    "is_dictionary_symbol",
    "load_tokenizer",
    "without_surrogates",
]

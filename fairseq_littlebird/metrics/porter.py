"""The Porter stemmer of NLTK, which ``rouge-score`` uses: Porter (1980) with the changes that NLTK made to it.

Letters of the paper: a word is [C](VC)^m[V], where C are consonants and V vowels in a row; *v* says that a stem holds
a vowel, *o that it ends in consonant, vowel, consonant other than w, x or y.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

VOWELS = frozenset("aeiou")
IRREGULAR = {
    "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "innings": "inning", "outings": "outing",
    "cannings": "canning",
} | {word: word for word in "sky news inning outing canning howe proceed exceed succeed".split()}  # fmt: skip

Condition = Callable[[str], bool]


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The stem of a lower-case word; words of one or two letters are their own."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) <= 2:
        return word
    for step in (_step_1a, _step_1b, _step_1c, _step_2, _step_3, _step_4, _step_5a, _step_5b):
        word = step(word)
    return word


def _is_consonant(word: str, place: int) -> bool:
    if word[place] in VOWELS:
        return False
    return word[place] != "y" or place == 0 or not _is_consonant(word, place - 1)


def _measure(stem: str) -> int:
    """m: how often a consonant follows a vowel."""
    kinds = [_is_consonant(stem, place) for place in range(len(stem))]
    return sum(after and not before for before, after in zip(kinds, kinds[1:], strict=False))


def _has_vowel(stem: str) -> bool:
    return not all(_is_consonant(stem, place) for place in range(len(stem)))


def _ends_double_consonant(word: str) -> bool:
    return len(word) >= 2 and word[-1] == word[-2] and _is_consonant(word, len(word) - 1)


def _ends_cvc(word: str) -> bool:
    """*o; of two letters vowel and consonant will do, which is NLTK's."""
    last = len(word) - 1
    if len(word) == 2:
        return not _is_consonant(word, 0) and _is_consonant(word, 1)
    return (
        len(word) >= 3
        and _is_consonant(word, last - 2)
        and not _is_consonant(word, last - 1)
        and _is_consonant(word, last)
        and word[last] not in "wxy"
    )


def _positive(stem: str) -> bool:
    return _measure(stem) > 0


def _above_one(stem: str) -> bool:
    return _measure(stem) > 1


def _replace(word: str, rules: dict[str, str], condition: Condition) -> str:
    """By the first rule whose ending the word has, if its stem meets the condition."""
    for ending, other in rules.items():
        if word.endswith(ending):
            stem = word[: len(word) - len(ending)]
            return stem + other if condition(stem) else word
    return word


def _step_1a(word: str) -> str:
    """Plurals. ``ies`` of four letters is NLTK's: dies, die."""
    if word.endswith("ies") and len(word) == 4:
        return word[:-1]
    return _replace(word, {"sses": "ss", "ies": "i", "ss": "ss", "s": ""}, lambda stem: True)


def _step_1b(word: str) -> str:
    """Past tense and -ing. ``ied`` is NLTK's: died, die; spied, spi."""
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _positive(word[:-3]) else word
    for ending in ("ed", "ing"):
        stem = word.removesuffix(ending)
        if word.endswith(ending) and _has_vowel(stem):
            break
    else:
        return word
    if stem.endswith(("at", "bl", "iz")):
        return f"{stem}e"
    if _ends_double_consonant(stem):
        return stem if stem[-1] in "lsz" else stem[:-1]
    return f"{stem}e" if _measure(stem) == 1 and _ends_cvc(stem) else stem


def _step_1c(word: str) -> str:
    """y to i after a consonant that is not the first letter, which is NLTK's."""
    if word.endswith("y") and len(word) > 2 and _is_consonant(word, len(word) - 2):
        return f"{word[:-1]}i"
    return word


_STEP_2 = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "bli": "ble", "alli": "al",
    "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize", "ation": "ate", "ator": "ate", "alism": "al",
    "iveness": "ive", "fulness": "ful", "ousness": "ous", "aliti": "al", "iviti": "ive", "biliti": "ble",
    "fulli": "ful",
}  # fmt: skip


def _step_2(word: str) -> str:
    """Long endings; after ``alli`` once more, and ``fulli`` and ``logi``, as NLTK has it."""
    if word.endswith("alli") and _positive(word[:-4]):
        return _step_2(word[:-2])
    if word.endswith("logi"):  # the stem is with its l
        return word[:-1] if _positive(word[:-3]) else word
    return _replace(word, _STEP_2, _positive)


def _step_3(word: str) -> str:
    rules = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
    return _replace(word, rules, _positive)


_STEP_4 = (
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate"),
    *("iti", "ous", "ive", "ize"),
)


def _step_4(word: str) -> str:
    for ending in _STEP_4:
        if word.endswith(ending):
            stem = word[: len(word) - len(ending)]
            if ending == "ion" and stem[-1:] not in ("s", "t"):
                return word
            return stem if _above_one(stem) else word
    return word


def _step_5a(word: str) -> str:
    """A final e, also of a short stem that does not end as *o."""
    if not word.endswith("e"):
        return word
    stem = word[:-1]
    measure = _measure(stem)
    return stem if measure > 1 or (measure == 1 and not _ends_cvc(stem)) else word


def _step_5b(word: str) -> str:
    return word[:-1] if word.endswith("ll") and _above_one(word[:-1]) else word

"""Tokenizers as the ``tokenizers`` library has them, with the packing of this plugin's tasks.

Text becomes the tokens that :mod:`fairseq_littlebird.text.tokenizers` gives. The library's offsets leave out marks and
jamo that it composes or strips; ``exact_offsets``, which comes with an exported model, adds them. Tokens of white space
alone may lie beside it. Each vocabulary keeps its own order; tokens of the dictionary that it lacks follow, as special
ones, which text never becomes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers import QUESTION, SPECIAL, UNKNOWN, LibraryTokenizer, Tokenizer

MASK = "<mask>"
NAMES = ("<s>", "<pad>", "</s>", UNKNOWN, MASK, QUESTION)
"""The dictionary's names of the special tokens."""
ROLES = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "unk_token": UNKNOWN,
    "mask_token": MASK,
}
"""What transformers calls them."""
_FILLING = re.compile(r"madeupword\d+")  # fairseq's, which round a dictionary's size
UNIGRAM, BPE = 1, 2  # SentencePiece's model types
NORMAL, UNKNOWN_PIECE, USER_DEFINED, BYTE = 1, 2, 4, 6  # and its kinds of pieces
CHECKED = 1000  # words of a text that a tokenizer is checked with


@dataclass(frozen=True)
class FastTokenizer:
    """A tokenizer of the library.

    Args:
        tokenizer: a ``tokenizers.Tokenizer``; pairs become ``<s> [QUESTION] question </s> context </s>``, single texts
            ``<s> text </s>``.
        dictionary_ids: for each of its ids the dictionary's, or None for a token that the dictionary lacks.
        ids: its id of each of ``NAMES``.
    """

    tokenizer: Any
    dictionary_ids: list[int | None]
    ids: dict[str, int]

    def save(self, folder: Path, token_types: bool, special_in_text: bool) -> None:
        """Writes ``tokenizer.json`` and ``tokenizer_config.json``.

        Args:
            folder: where to.
            token_types: whether the model reads token types.
            special_in_text: whether ``<mask>`` and the like in a text are read as such.
        """
        self.tokenizer.save(str(folder / "tokenizer.json"))
        inputs = ["input_ids", *(["token_type_ids"] if token_types else []), "attention_mask"]
        settings = {role: self.tokenizer.id_to_token(self.ids[name]) for role, name in ROLES.items()}
        settings |= {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_input_names": inputs,
            "split_special_tokens": not special_in_text,
            "clean_up_tokenization_spaces": False,
        }
        text = json.dumps(settings, indent=1, ensure_ascii=False) + "\n"
        (folder / "tokenizer_config.json").write_text(text, "utf-8")


def fast_tokenizer(tokenizer: Tokenizer, symbols: Sequence[str], questions: bool = True) -> FastTokenizer:
    """The same tokenizer as one of the library.

    Args:
        tokenizer: any of the four kinds.
        symbols: the dictionary's tokens, in the order of their ids.
        questions: pairs are a question and its context; otherwise two texts, ``<s> text </s> </s> text </s>``.
    Raises:
        UserError: a SentencePiece model that the library cannot follow, or that it follows otherwise.
    """
    if isinstance(tokenizer, LibraryTokenizer):
        built, numbers = tokenizer.copy(), tokenizer.numbers()
    else:
        built = _sentencepiece(tokenizer.files["sentencepiece.model"])
        numbers = built.get_vocab()
    dictionary = {symbol: number for number, symbol in enumerate(symbols)}
    dictionary |= {name: symbols.index(name) for name in NAMES[:4]}  # a file may overwrite them, and fairseq does not
    known = {*tokenizer.symbols()}
    ids = {name: numbers[name] for name in NAMES if name in numbers and name not in known}
    _add_tokens(built, [name for name in NAMES if name not in ids], ids)
    dictionary_ids: list[int | None] = [None] * (max(built.get_vocab().values()) + 1)
    for symbol in known:
        dictionary_ids[numbers[symbol]] = dictionary.get(symbol)
    added = [s for s in symbols if s not in known and s not in ids and not _FILLING.fullmatch(s)]
    more: dict[str, int] = {}
    _add_tokens(built, added, more)
    dictionary_ids += [None] * (max(built.get_vocab().values()) + 1 - len(dictionary_ids))
    for symbol, number in (ids | more).items():
        dictionary_ids[number] = dictionary.get(symbol)
    _pack(built, ids, questions)
    fast = FastTokenizer(built, dictionary_ids, ids)
    _check(tokenizer, fast, symbols)
    return fast


def _add_tokens(tokenizer: Any, tokens: Sequence[str], ids: dict[str, int]) -> None:
    """Makes tokens special, new ones with the numbers that follow the vocabulary's; writes these into ``ids``."""
    vocabulary = tokenizer.get_vocab()
    if max(vocabulary.values()) >= len(vocabulary):
        raise UserError("the tokenizer's vocabulary leaves out numbers", remedy="number its tokens without gaps")
    tokenizer.add_special_tokens([*tokens, *(tokenizer.id_to_token(number) for number in ids.values())])
    ids |= {token: tokenizer.token_to_id(token) for token in tokens}


def _pack(tokenizer: Any, ids: dict[str, int], questions: bool) -> None:
    """What stands around texts; also what only the library's own decoding and offsets need."""
    from tokenizers import decoders, processors

    first, last, question = (tokenizer.id_to_token(ids[name]) for name in ("<s>", "</s>", QUESTION))
    pair = f"{first} {question} $A {last} $B:1 {last}:1" if questions else f"{first} $A {last} {last} $B {last}"
    template = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=pair,
        special_tokens=[(tokenizer.id_to_token(number), number) for number in {*ids.values()}],
    )
    bytes_ = "ByteLevel" in json.dumps(json.loads(tokenizer.to_str())["pre_tokenizer"])
    trimming = processors.ByteLevel(add_prefix_space=False, trim_offsets=True)
    tokenizer.post_processor = processors.Sequence([trimming, template]) if bytes_ else template
    if tokenizer.decoder is None:
        tokenizer.decoder = decoders.ByteLevel() if bytes_ else decoders.WordPiece()


def _sentencepiece(path: Path) -> Any:
    """A ``tokenizers.Tokenizer`` of a SentencePiece model; its numbers are of its own."""
    try:
        from sentencepiece import sentencepiece_model_pb2
    except ImportError as error:
        raise UserError("reading a SentencePiece model needs protobuf", remedy="pip install protobuf") from error
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    proto = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())  # type: ignore[attr-defined]
    trainer, normalizer = proto.trainer_spec, proto.normalizer_spec
    usual = normalizer.add_dummy_prefix and normalizer.remove_extra_whitespaces and normalizer.escape_whitespaces
    own = [p for p in proto.pieces if p.type == USER_DEFINED and p.piece not in SPECIAL | dict.fromkeys(NAMES)]
    inner = [p for p in proto.pieces if p.type == NORMAL and "\u2581" in p.piece[1:]]
    reasons = {
        "is neither Unigram nor BPE": trainer.model_type not in (UNIGRAM, BPE),
        "has other rules for white space than the usual ones": not usual or trainer.treat_whitespace_as_suffix or inner,
        "has symbols of its user's": own,
    }
    for reason, there in reasons.items():
        if there:
            raise UserError(f"a model that {reason}: transformers has no such tokenizer", str(path), "use another")
    scores = {p.piece: p.score for p in proto.pieces if p.type in (NORMAL, BYTE)}
    unknown = [p.piece for p in proto.pieces if p.type == UNKNOWN_PIECE][0]
    fallback = trainer.byte_fallback
    if trainer.model_type == UNIGRAM:
        model: Any = models.Unigram([(unknown, 0.0), *scores.items()], 0, fallback)
    else:
        numbers = {piece: number for number, piece in enumerate([unknown, *scores])}
        model = models.BPE(numbers, _merges(scores), unk_token=unknown, fuse_unk=True, byte_fallback=fallback)
    tokenizer = Tokenizer(model)
    if normalizer.precompiled_charsmap:
        rules = normalizers.Precompiled(normalizer.precompiled_charsmap)
        tokenizer.normalizer = _followed(rules, normalizer.name)
    splits = [
        pre_tokenizers.Split(" ", "removed"),
        pre_tokenizers.Metaspace(prepend_scheme="always", split=False),
        # SentencePiece does not find these pieces in a text that reads like them
        pre_tokenizers.Split(Regex(r"<(?=unk>|0x[0-9A-F]{2}>)"), "merged_with_previous"),
    ]
    if fallback:  # else the bytes of several characters would have the offsets of all
        known = {character for p in proto.pieces if p.type == NORMAL for character in p.piece}
        splits.append(pre_tokenizers.Split(Regex(f"[^{_ranges(known)}]"), "isolated"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always", split=False)]
    )
    return tokenizer


def _followed(rules: Any, name: str) -> Any:
    """A normalizer that does what SentencePiece does by its rules.

    The library's reading of them does not compose what takes more than a few bytes, such as Hangul, and loses the mark
    of a letter that they change. Little is left for them after NFKC. Marks are composed in canonical order, where
    SentencePiece goes from left to right: a letter with marks in another order becomes other tokens.
    """
    from tokenizers import normalizers

    if name not in ("nmt_nfkc", "nmt_nfkc_cf", "nfkc", "nfkc_cf"):
        return rules
    folding = name.endswith("_cf")
    kept = {"\uff5e": "\ufdd0"} | ({"\u0130": "\ufdd1"} if folding else {})  # as they are until the rules, or by them
    return normalizers.Sequence(
        [
            *(normalizers.Replace(character, unused) for character, unused in kept.items()),
            normalizers.NFKC(),
            *([normalizers.Lowercase()] if folding else []),
            *(normalizers.Replace(unused, character) for character, unused in kept.items()),
            rules,
        ]
    )


def _ranges(characters: set[str]) -> str:
    """The inside of a regular expression's brackets for these characters."""
    codes = sorted(map(ord, characters))
    starts = [code for code in codes if chr(code - 1) not in characters]
    ends = [code for code in codes if chr(code + 1) not in characters]
    return "".join(f"\\x{{{start:x}}}-\\x{{{end:x}}}" for start, end in zip(starts, ends, strict=True))


def _merges(scores: dict[str, float]) -> list[tuple[str, str]]:
    """Every pair that makes a piece, the best first."""
    pairs = []
    for piece, score in scores.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in scores and right in scores:
                pairs.append((-score, len(left), left, right))
    return [(left, right) for _, _, left, right in sorted(pairs)]


def _check(tokenizer: Tokenizer, fast: FastTokenizer, symbols: Sequence[str]) -> None:
    """Raises UserError where the two disagree on the vocabulary's own tokens."""
    dictionary, library = {*symbols}, fast.tokenizer
    library.encode_special_tokens = True
    words = [re.sub("^##|[\u2581\u0120]", " ", word).strip() for word in sorted(library.get_vocab())]
    for first in range(0, len(words), CHECKED):
        text = " ".join(words[first : first + CHECKED])
        wanted = [symbol if symbol in dictionary else UNKNOWN for symbol in tokenizer.tokenize(text)]
        encoding = library.encode(text, add_special_tokens=False)
        ids = [fast.dictionary_ids[number] for number in encoding.ids]
        found = [UNKNOWN if id_ is None else symbols[id_] for id_ in ids]
        if found != wanted:
            index = next((n for n, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), len(wanted) - 1)
            start, end = encoding.offsets[min(index, len(found) - 1)]
            raise UserError(
                f"transformers would split {text[max(0, start - 20) : end + 20]!r} into other tokens",
                ", ".join(map(str, tokenizer.files.values())),
                "export a model with another tokenizer",
            )

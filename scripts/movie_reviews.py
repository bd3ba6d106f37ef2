"""Makes a classification data set that shows what becomes of longer inputs (the shape of table 6).

    python scripts/movie_reviews.py --data movie_reviews.zip --tokenizer TOKENIZER --out reviews
    fairseq-train reviews --user-dir fairseq_littlebird --task littlebird_sentence_prediction --num-classes 2 \\
        --criterion sentence_prediction --best-checkpoint-metric accuracy --maximize-best-checkpoint-metric ...
    fairseq-validate reviews --user-dir fairseq_littlebird --task littlebird_sentence_prediction --num-classes 2 \\
        --criterion sentence_prediction --path checkpoints/checkpoint_best.pt --batch-size 8 \\
        --valid-subset test512,test1024,test1536,test2048

--data is a zip or a folder with text files in neg/ (label 0) and pos/ (label 1), one review each; --tokenizer a
tokenizer's folder with its dict.txt. Reviews are split at random, each class alike, into train, valid and test.

train, valid: one review an item, its beginning, of --train-length tokens at most.
testN: an item begins with a test review of its own, and goes on with others of its class, drawn at random, until it
    has N tokens; there it is cut. Item k of every testN begins alike, so that the sets differ in length alone: all have
    the same number of items, half of them positive. Every review speaks for the label, so that longer items say more.

Lengths include <s> (--init-token 0, the task's default) and </s>.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

from fairseq.data import Dictionary

from fairseq_littlebird.data.classification_preparation import SPECIAL
from fairseq_littlebird.data.classification_writer import SplitWriter, begin_folder
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.errors import UserError, exit_on_user_error
from fairseq_littlebird.formats.zip_files import zipped
from fairseq_littlebird.output import whole_folder
from fairseq_littlebird.text.tokenizers import Tokenizer, load_tokenizer

LABELS = ("neg", "pos")
PARTS = ("input0", "label")

Items = list[tuple[list[str], int]]  # symbols and label


@exit_on_user_error
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="PATH", help="movie_reviews.zip, or a folder as in it")
    parser.add_argument("--tokenizer", required=True, metavar="DIR", help="folder of a tokenizer and its dict.txt")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--lengths", type=_lengths, default=(512, 1024, 1536, 2048), metavar="N,N", help="(512,1024,1536,2048)"
    )
    parser.add_argument("--train-length", type=int, default=512, metavar="N", help="(%(default)s)")
    parser.add_argument("--items", type=int, metavar="N", help="of each test set (as many as test reviews)")
    parser.add_argument("--valid-share", type=float, default=0.1, help="of the reviews (%(default)s)")
    parser.add_argument("--test-share", type=float, default=0.3, help="of the reviews (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the split and of what is joined (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    options = parser.parse_args()
    if options.train_length <= SPECIAL:
        parser.error(f"--train-length {options.train_length} leaves no room")
    if min(options.valid_share, options.test_share) <= 0 or options.valid_share + options.test_share >= 1:
        parser.error("--valid-share and --test-share leave nothing to train on, or are not positive")

    tokenizer = load_tokenizer(options.tokenizer)
    dictionary = load_dictionary(options.tokenizer)
    reviews = read(Path(options.data), tokenizer)
    splits = split(reviews, options.valid_share, options.test_share, options.seed)
    sets = {name: single(splits[name], options.train_length) for name in ("train", "valid")}
    shortest = min(map(len, splits["test"]))
    count = options.items // 2 if options.items else shortest
    if not 1 <= count <= shortest:
        remedy = f"give --items from 2 to {2 * shortest}, or a larger --test-share"
        raise UserError(f"{shortest} test reviews of a class for {count} items", options.data, remedy)
    for length in options.lengths:
        sets[f"test{length}"] = joined(splits["test"], length, count, options.seed)
    with whole_folder(options.out, PARTS, options.overwrite) as folder:
        write(folder, sets, tokenizer, dictionary, Path(options.tokenizer) / "dict.txt")
    for name, items in sets.items():
        lengths = [len(symbols) + SPECIAL for symbols, _ in items]
        positive = sum(label for _, label in items)
        print(
            f"{name}: {len(items):,} items, {positive:,} positive, {sum(lengths) // len(items):,} tokens on average, "
            f"{max(lengths):,} at most"
        )


def read(path: Path, tokenizer: Tokenizer) -> list[list[list[str]]]:
    """The symbols of each review of each label, in the order of the files' names."""
    reviews = []
    for label in LABELS:
        texts = [raw.decode("utf-8", errors="replace") for raw in _files(path, label)]
        symbols = [tokenizer.tokenize(" ".join(text.split())) for text in texts]
        reviews.append([review for review in symbols if review])
        if len(reviews[-1]) < 3:
            raise UserError(f"fewer than three texts in {label}/", str(path), "give a zip or folder with neg/ and pos/")
    return reviews


def _files(path: Path, label: str) -> Iterator[bytes]:
    if path.is_dir():
        for file in sorted(path.rglob("*.txt")):
            if file.parent.name == label:
                yield file.read_bytes()
        return
    for name, raw in zipped(path, ".txt"):
        if Path(name).parent.name == label:
            yield raw


def split(
    reviews: list[list[list[str]]], valid_share: float, test_share: float, seed: int
) -> dict[str, list[list[list[str]]]]:
    """Split -> reviews of each label."""
    parts: dict[str, list[list[list[str]]]] = {"train": [], "valid": [], "test": []}
    for label, texts in enumerate(reviews):
        shuffled = random.Random(f"{seed} {label}").sample(texts, len(texts))
        valid, test = (max(1, round(share * len(texts))) for share in (valid_share, test_share))
        parts["valid"].append(shuffled[:valid])
        parts["test"].append(shuffled[valid : valid + test])
        parts["train"].append(shuffled[valid + test :])
    return parts


def single(reviews: list[list[list[str]]], length: int) -> Items:
    """One review an item, cut."""
    return [(review[: length - SPECIAL], label) for label, texts in enumerate(reviews) for review in texts]


def joined(reviews: list[list[list[str]]], length: int, count: int, seed: int) -> Items:
    """``count`` items of each label, of exactly ``length`` tokens where the class has as many."""
    items = []
    for label, texts in enumerate(reviews):
        for first in range(count):
            # the same order for every length
            rest = random.Random(f"{seed} {label} {first}").sample(range(len(texts)), len(texts))
            symbols: list[str] = []
            for n in [first, *(n for n in rest if n != first)]:
                symbols += texts[n]
                if len(symbols) >= length - SPECIAL:
                    break
            items.append((symbols[: length - SPECIAL], label))
    return items


def write(folder: Path, sets: dict[str, Items], tokenizer: Tokenizer, dictionary: Dictionary, words: Path) -> None:
    """The folders that sentence_prediction reads, as fairseq-preprocess would write them."""
    begin_folder(folder, PARTS, tokenizer, words, len(LABELS))
    for name, items in sets.items():
        with SplitWriter(folder, name, PARTS) as writer:
            for symbols, label in items:
                writer.add([dictionary.index(s) for s in symbols], label=[label])


def _lengths(text: str) -> tuple[int, ...]:
    numbers = text.split(",")
    if not all(n.isdecimal() and int(n) > SPECIAL for n in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} are not lengths, as 512,1024")
    return tuple(dict.fromkeys(map(int, numbers)))


if __name__ == "__main__":
    main()

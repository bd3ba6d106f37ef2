"""Documents to quote from: one sentence of each is marked, anywhere, and the summary is that sentence with its mark.

    python quoting.py --out DIR --tokens 4096 --train 2000 --valid 50 --test 200

A document is sentences of random words, so that nothing but the mark says which one to quote, and nothing but copying
says what stands there. Of a document cut at 512 of 4,096 tokens one sentence in eight can be known. Writes
``vocab.txt``, whose pieces are the words, and JSON lines for ``littlebird-prepare summarization``; the ids end in the
number of the token at which the marked sentence begins.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

WORDS, LENGTH, MARK = 64, 5, "mark"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONSONANTS, VOWELS = "bdfgklmnprst", "aeiou"


def words() -> list[str]:
    """Distinct words of two syllables."""
    syllables = [c + v for c in CONSONANTS for v in VOWELS]
    return [f"{first}{second}" for first, second in zip(syllables, syllables[7:] + syllables[:7], strict=True)] + [
        f"{s}{s}" for s in syllables
    ]


def document(rng: random.Random, vocabulary: list[str], tokens: int, kinds: int) -> tuple[str, str, int]:
    """A document of so many tokens with <s> and </s>, its marked sentence, and the token at which that begins.

    ``kinds`` is of how many different words it is at most.
    """
    vocabulary = rng.sample(vocabulary, kinds)
    count = (tokens - 3) // (LENGTH + 1)
    sentences = [f"{' '.join(rng.choices(vocabulary, k=LENGTH))}." for _ in range(count)]
    chosen = rng.randrange(count)
    text = " ".join(f"{MARK} {s}" if n == chosen else s for n, s in enumerate(sentences))
    return text, sentences[chosen], 1 + chosen * (LENGTH + 1)


def write(folder: Path, tokens: int, kinds: int, counts: dict[str, int], seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = words()[:WORDS]
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, ".", MARK, *vocabulary]) + "\n", "utf-8")
    for split, count in counts.items():
        rng = random.Random(f"{seed} {split} {tokens}")
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for n in range(count):
                text, marked, place = document(rng, vocabulary, tokens, kinds)
                # with its mark, as the first word is then found as the others are: it follows the word before it
                summary = f"{MARK} {marked}"
                file.write(json.dumps({"id": f"{n}-{place}", "document": text, "summary": summary}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=4096, help="of a document (%(default)s)")
    parser.add_argument(
        "--words",
        type=int,
        default=WORDS,
        help="different ones in a document (%(default)s); few make a short document as repetitive as a long one",
    )
    for split, count in {"train": 2000, "valid": 50, "test": 200}.items():
        parser.add_argument(f"--{split}", type=int, default=count, help="documents (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts = {split: getattr(options, split) for split in ("train", "valid", "test")}
    write(options.out, options.tokens, options.words, counts, options.seed)


if __name__ == "__main__":
    main()

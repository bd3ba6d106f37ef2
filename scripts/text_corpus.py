"""Makes train.txt and valid.txt for pretraining, in the form littlebird-prepare text takes.

Each text file is a document: a paragraph a line, an empty line between documents. Lines wrapped by hand are
joined into the paragraphs that empty lines part; where lines are long, each already is a paragraph. Whole
documents are held out for valid.txt, drawn from each input apart, so that every kind of text is in it.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from fairseq_littlebird.errors import UserError, exit_on_user_error
from fairseq_littlebird.formats.zip_files import zipped
from fairseq_littlebird.output import whole_folder

LONGEST_WRAPPED = 100
"""Characters; hardly anybody wraps wider."""


@exit_on_user_error
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True, nargs="+", metavar="PATH", help=".txt files, folders or zips of them")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write train.txt and valid.txt to")
    parser.add_argument("--valid-share", type=float, default=0.05, help="of the characters held out (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the choice of documents (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    options = parser.parse_args()
    if not 0 < options.valid_share < 1:
        parser.error(f"--valid-share {options.valid_share} is not between 0 and 1")

    rng = random.Random(options.seed)
    parts: dict[str, list[str]] = {"train": [], "valid": []}
    for path in map(Path, options.input):
        documents = [text for name, raw in read(path) if (text := document(decode(name, raw)))]
        held = choose(documents, options.valid_share, rng)
        for n, text in enumerate(documents):
            parts["valid" if n in held else "train"].append(text)
    for name, part in parts.items():
        if not part:
            remedy = "give more documents, or another --valid-share"
            raise UserError(f"no document is left for {name}.txt", options.input[0], remedy)
    with whole_folder(options.out, ("train.txt", "valid.txt"), options.overwrite) as folder:
        for name, part in parts.items():
            (folder / f"{name}.txt").write_text("\n\n".join(part) + "\n", encoding="utf-8")
            size = sum(map(len, part))
            print(f"{name}.txt: {len(part):,} documents, {size:,} characters")


def read(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the .txt files at a path, in the order of their names."""
    found = False
    if path.is_dir():
        for file in sorted(path.rglob("*.txt")):
            found = True
            yield str(file), file.read_bytes()
    elif path.suffix == ".zip":
        for name, raw in zipped(path, ".txt"):
            found = True
            yield f"{path}, {name}", raw
    else:
        found = True
        yield str(path), path.read_bytes()
    if not found:
        raise UserError("no .txt file in it", str(path), "name another path")


def decode(name: str, raw: bytes) -> str:
    """The text of UTF-8, or of Windows-1252 where it is not UTF-8, as old English texts are."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        print(f"{name}: not UTF-8, read as Windows-1252", file=sys.stderr)
        return raw.decode("cp1252", errors="replace")


def document(text: str) -> str:
    """The paragraphs of a text, one a line, white space normalised."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    if not wrapped(lines):
        return "\n".join(filter(None, lines))
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if line:
            paragraphs[-1].append(line)
        elif paragraphs[-1]:
            paragraphs.append([])
    return "\n".join(" ".join(paragraph) for paragraph in paragraphs if paragraph)


def wrapped(lines: list[str]) -> bool:
    """Whether lines are wrapped by hand: at most one in a hundred is longer than anybody wraps."""
    written = [line for line in lines if line]
    return sum(len(line) > LONGEST_WRAPPED for line in written) <= 0.01 * len(written)


def choose(documents: list[str], share: float, rng: random.Random) -> set[int]:
    """Documents to hold out: drawn one by one, those that fit into the share; the shortest if none does."""
    room = share * sum(map(len, documents))
    held: set[int] = set()
    for n in rng.sample(range(len(documents)), len(documents)):
        if len(documents[n]) <= room:
            held.add(n)
            room -= len(documents[n])
    if not held and len(documents) > 1:
        held.add(min(range(len(documents)), key=lambda n: len(documents[n])))
    return held


if __name__ == "__main__":
    main()

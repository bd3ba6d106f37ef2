"""Gathers long English documents from what is installed on a machine: documentation, man pages, licences.

    python scripts/experiments/english_text.py --out DIR --input /usr/share/doc /usr/share/man/man1 …

Each file that holds enough English prose becomes one .txt file of DIR, a paragraph a line, as scripts/text_corpus.py
reads it; files of one folder that are too short by themselves are joined. A paragraph is kept once, wherever it stands
(licences and boilerplate come in thousands of copies), and only if it reads as prose: code, tables, indexes and other
languages are left out. Debian's documentation packages make a corpus of some tens of millions of tokens;
docs/experiments/claims.md names those that were used.
"""

from __future__ import annotations

import argparse
import gzip
import re
import zlib
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from fairseq_littlebird.errors import UserError, exit_on_user_error
from fairseq_littlebird.output import whole_folder
from fairseq_littlebird.text.html import html_pieces

TEXT = {".txt", ".rst", ".md", ".pod", ".texi", ".html", ".htm", ""}
BLOCKS = ("h1", "h2", "h3", "h4", "h5", "h6", "p", "li", "dt", "dd", "td", "th", "pre", "tr", "div", "blockquote")
FREQUENT = frozenset("the of and to a in is that for it as be with on are this by or not from an if can which".split())
MIN_PARAGRAPH, MIN_DOCUMENT, MAX_FILE = 60, 4_000, 30_000_000  # characters, characters, bytes
MANUAL = re.compile(r"\.[1-8]\w*$")
ROFF = re.compile(r"\\f(?:\[\w*\]|\(..|.)|\\[&|^/,%:)]|\\s[-+]?\d+|\\\*(?:\[\w*\]|\(..|.)")
ROFF_CHARACTERS = {r"\-": "-", r"\(aq": "'", r"\(cq": "'", r"\(oq": "'", r"\(lq": '"', r"\(rq": '"', r"\e": "\\"}


@exit_on_user_error
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True, nargs="+", type=Path, metavar="PATH", help="files or folders of them")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write the documents to")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    options = parser.parse_args()
    for path in options.input:
        if not path.exists():
            raise UserError("no such file or folder", str(path), "check --input")

    seen: set[bytes] = set()
    documents, characters = 0, 0
    with whole_folder(options.out, ("*.txt",), options.overwrite) as folder:
        for name, paragraphs in joined(path for start in options.input for path in files(start)):
            new = [paragraph for paragraph in paragraphs if is_prose(paragraph) and is_new(paragraph, seen)]
            text = "\n".join(new)
            if len(text) < MIN_DOCUMENT:
                continue
            (folder / f"{documents:06}.txt").write_text(text + "\n", encoding="utf-8")
            documents, characters = documents + 1, characters + len(text)
            if documents % 500 == 0:
                print(f"{documents:,} documents, {characters:,} characters, now {name}", flush=True)
        if not documents:
            raise UserError("no English prose found", str(options.input[0]), "give other folders with --input")
    print(f"{documents:,} documents, {characters:,} characters")


def files(start: Path) -> Iterator[Path]:
    """The files at a path that may hold text, in the order of their names; each real file once."""
    for path in sorted(start.rglob("*")) if start.is_dir() else [start]:
        plain = path.with_suffix("") if path.suffix == ".gz" else path
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_FILE:
            continue
        if plain.suffix.lower() in TEXT or MANUAL.search(plain.name):
            yield path


def joined(paths: Iterator[Path]) -> Iterator[tuple[Path, list[str]]]:
    """The paragraphs of each file; short files of one folder together."""
    folder, together, size = Path(), [], 0
    for path in paths:
        paragraphs = read(path)
        own = sum(map(len, paragraphs))
        if path.parent != folder or own >= MIN_DOCUMENT or size >= MIN_DOCUMENT:
            if together:
                yield folder, together
            folder, together, size = path.parent, [], 0
        if own >= MIN_DOCUMENT:
            yield path, paragraphs
        else:
            together += paragraphs
            size += own
    if together:
        yield folder, together


def read(path: Path) -> list[str]:
    """The paragraphs of a file; none of one that is not UTF-8 text."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        return []
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    if plain.suffix.lower() in (".html", ".htm") or text[:200].lstrip().lower().startswith(("<!doctype", "<html")):
        return html_paragraphs(text)
    if MANUAL.search(plain.name):
        text = manual_text(text)
    return [" ".join(block.split()) for block in re.split(r"\n\s*\n", text)]


def html_paragraphs(page: str) -> list[str]:
    parts = ["\n" if piece.symbol else page[piece.start : piece.stop] if piece.text is None else piece.text
             for piece in html_pieces(page, BLOCKS)]  # fmt: skip
    return [" ".join(line.split()) for line in "".join(parts).split("\n")]


def manual_text(source: str) -> str:
    """A man page without its roff requests; empty lines between paragraphs."""
    lines = []
    for line in source.splitlines():
        if line.startswith((".", "'")):
            request, _, rest = line[1:].strip().partition(" ")
            inline = request in {"B", "I", "BR", "RB", "IR", "RI", "BI", "IB", "Nm", "Xr", "Ar", "Fl", "Em", "Pa"}
            lines.append(rest.replace('"', "") if inline else "" if not request.startswith("\\") else None)
        else:
            lines.append(line)
    text = ROFF.sub("", "\n".join(line for line in lines if line is not None))
    for escape, character in ROFF_CHARACTERS.items():
        text = text.replace(escape, character)
    return text


def is_prose(paragraph: str) -> bool:
    """Whether this reads as English sentences: mostly letters, and the frequent words in their usual share."""
    if len(paragraph) < MIN_PARAGRAPH:
        return False
    letters = sum(c.isalpha() or c == " " for c in paragraph)
    words = re.findall(r"[a-z]+", paragraph.lower())
    return letters >= 0.85 * len(paragraph) and sum(word in FREQUENT for word in words) >= 0.2 * len(words) > 0


def is_new(paragraph: str, seen: set[bytes]) -> bool:
    key = blake2b("".join(re.findall(r"\w+", paragraph.lower())).encode(), digest_size=8).digest()
    new = key not in seen
    seen.add(key)
    return new


if __name__ == "__main__":
    main()

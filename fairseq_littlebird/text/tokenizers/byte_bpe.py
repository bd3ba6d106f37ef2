"""Byte BPE, as GPT-2 has it: encoder.json and vocab.bpe, or vocab.json and merges.txt."""

from __future__ import annotations

import codecs
from pathlib import Path
from tempfile import TemporaryDirectory

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers.library_tokenizer import LibraryTokenizer, tokenizers_library


def gpt2_bpe(folder: Path, dictionary: str | Path | None) -> LibraryTokenizer:
    lines = Path(dictionary) if dictionary else folder / "dict.txt"
    numbers = not lines.exists() or _holds_numbers(lines)
    return byte_bpe({name: folder / name for name in ("encoder.json", "vocab.bpe")}, numbers)


def byte_bpe(files: dict[str, Path], numbers: bool) -> LibraryTokenizer:
    library = tokenizers_library()
    try:
        with TemporaryDirectory() as folder:  # the library knows no byte-order mark
            paths = [Path(folder) / file.name for file in files.values()]
            for path, file in zip(paths, files.values(), strict=True):
                path.write_bytes(file.read_bytes().removeprefix(codecs.BOM_UTF8))
            model = library.models.BPE.from_file(*map(str, paths))
    except OSError:
        raise
    except Exception as error:  # the library raises bare Exception
        raise UserError(
            f"not GPT-2 byte BPE files ({error})",
            where=" and ".join(map(str, files.values())),
            remedy="give encoder.json and vocab.bpe",
        ) from error
    tokenizer = library.Tokenizer(model)
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    decoder = library.decoders.ByteLevel()
    return LibraryTokenizer("gpt2_bpe", tokenizer, files, numbers=numbers, decoder=decoder)


def _holds_numbers(dictionary: Path) -> bool:
    with dictionary.open(encoding="utf-8-sig", errors="replace") as lines:
        symbols = [line.split(" ")[0] for line in lines]
    return sum(symbol.isdigit() for symbol in symbols) * 2 > len(symbols)

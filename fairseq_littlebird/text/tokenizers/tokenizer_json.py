"""A tokenizer.json of the tokenizers library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers.library_tokenizer import LibraryTokenizer, tokenizers_library


def tokenizer_json(path: Path) -> LibraryTokenizer:
    library = tokenizers_library()
    try:
        tokenizer = library.Tokenizer.from_str(path.read_text("utf-8-sig"))
    except OSError:
        raise
    except Exception as error:  # the library raises bare Exception
        raise UserError(
            f"not a tokenizer.json ({error})", where=str(path), remedy="give a file of the tokenizers library"
        ) from error
    unknown = read_json(path).get("model", {}).get("unk_token")
    return LibraryTokenizer("tokenizer_json", tokenizer, {"tokenizer.json": path}, unknown=unknown or "[UNK]")


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON ({error})", where=str(path), remedy="repair or remove the file") from error
    return content if isinstance(content, dict) else {}

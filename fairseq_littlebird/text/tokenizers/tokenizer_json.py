"""A tokenizer.json of the tokenizers library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers.base import SPECIAL, UNKNOWN
from fairseq_littlebird.text.tokenizers.library_tokenizer import LibraryTokenizer, tokenizers_library

CONFIGURATION = "tokenizer_config.json"
ROLES = (
    (("cls_token", "bos_token"), "<s>"),
    (("sep_token", "eos_token"), "</s>"),
    (("pad_token",), "<pad>"),
    (("unk_token",), UNKNOWN),
    (("mask_token",), "<mask>"),
)
"""What transformers calls the special symbols, the first that is there, and what fairseq does."""


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
    files, names = {"tokenizer.json": path}, special_names(path.parent / CONFIGURATION)
    if names:
        files[CONFIGURATION] = path.parent / CONFIGURATION
    return LibraryTokenizer("tokenizer_json", tokenizer, files, unknown=unknown or "[UNK]", special=names)


def special_names(path: Path) -> dict[str, str]:
    """fairseq's special symbols by what a tokenizer_config.json calls them, where its names are neither BERT's nor
    fairseq's, such as Gemma's ``<bos>``; otherwise none, nor where one of them is missing or stands for two.

    Args:
        path: of a file that may be absent.
    """
    if not path.is_file():
        return {}
    content, names = read_json(path), {}
    for roles, ours in ROLES:
        for role in roles:
            token = content.get(role)
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str) and token:
                names[token] = ours
                break
    usual = all(name == ours or SPECIAL.get(name) == ours for name, ours in names.items())
    return {} if usual or len(names) < len(ROLES) else names


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON ({error})", where=str(path), remedy="repair or remove the file") from error
    return content if isinstance(content, dict) else {}

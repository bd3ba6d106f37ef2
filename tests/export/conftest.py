"""Vocabularies of every kind, and small models of LittleBird as fairseq saves them."""

from __future__ import annotations

import json
import pydoc_data.topics
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.model_folder import default_settings
from fairseq_littlebird.models.littlebird import LittleBirdModel, LittleBirdModelConfig
from fairseq_littlebird.text.tokenizers import dictionary_text, load_tokenizer
from fairseq_littlebird.text.training import train_sentencepiece

SIZES = {
    "encoder_layers": 2,
    "encoder_embed_dim": 32,
    "encoder_ffn_embed_dim": 48,
    "encoder_attention_heads": 2,
    "pack_size": 4,
    "block_size": 16,
}


def sentencepiece_file(folder: Path, kind: str, fallback: bool) -> Path:
    text = "\n\n".join(list(pydoc_data.topics.topics.values())[:25]) + "\n한국어 문장을 하나 읽었다 café\n" * 3
    (folder / "text").write_text(text, "utf-8")
    train_sentencepiece([folder / "text"], 700, folder / "sentencepiece.model", kind, byte_fallback=fallback)
    return folder / "sentencepiece.model"


def wordpiece_file(folder: Path) -> Path:
    letters = [*map(chr, range(33, 127)), *"한국어문장"]
    pieces = [*letters, *(f"##{c}" for c in letters if c.isalnum()), "the", "stone", "##ing", "##ed"]
    names = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join([*names, *(p for p in pieces if p == p.lower())]) + "\n", "utf-8")
    return folder / "vocab.txt"


def bpe_files(folder: Path) -> Path:
    """GPT-2's two files: all bytes and a few merges."""
    from tokenizers.pre_tokenizers import ByteLevel

    merges = ["t h", "th e", "Ġ the", "i n", "o n", "s t"]
    pieces = [*sorted(ByteLevel.alphabet()), *(merge.replace(" ", "") for merge in merges), "<|endoftext|>"]
    (folder / "encoder.json").write_text(json.dumps({piece: n for n, piece in enumerate(pieces)}), "utf-8")
    (folder / "vocab.bpe").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")
    return folder


def json_file(folder: Path) -> Path:
    """A tokenizer.json with a template, a special token and a word that was added."""
    import tokenizers

    pieces = wordpiece_file(folder).read_text("utf-8").splitlines()
    model = tokenizers.models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([*pieces[:1], *pieces[2:6], "<entity>"])
    tokenizer.add_tokens(["stonework"])
    tokenizer.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 4), ("[CLS]", 3))
    tokenizer.enable_truncation(5)
    (folder / "vocab.txt").unlink()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


KINDS: dict[str, Callable[[Path], Path]] = {
    "unigram": lambda folder: sentencepiece_file(folder, "unigram", False),
    "unigram_bytes": lambda folder: sentencepiece_file(folder, "unigram", True),
    "bpe": lambda folder: sentencepiece_file(folder, "bpe", False),
    "bpe_bytes": lambda folder: sentencepiece_file(folder, "bpe", True),
    "wordpiece": wordpiece_file,
    "gpt2": bpe_files,
    "json": json_file,
}


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``vocabulary(kind)``: the tokenizer's files and ``dict.txt``, whose words have an order of their own."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            folder = made[kind] = tmp_path_factory.mktemp(kind)
            KINDS[kind](folder)
            lines = dictionary_text(load_tokenizer(folder)).splitlines()
            lines = [*reversed(lines), "<p> 0", "madeupword0000 0"]
            (folder / "dict.txt").write_text("\n".join(lines) + "\n", "utf-8")
        return made[kind]

    return make


@pytest.fixture
def checkpoint(vocabulary: Callable[[str], Path], tmp_path: Path) -> Callable[..., tuple[Any, Path]]:
    """``checkpoint(span_head, vocabulary)``: a model with random weights, and its folder as a training leaves it."""

    def make(span_head: str = "", kind: str = "unigram", **options: Any) -> tuple[Any, Path]:
        torch.manual_seed(0)
        folder = tmp_path / f"trained-{span_head or 'words'}"
        folder.mkdir()
        for file in vocabulary(kind).iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        cfg = LittleBirdModelConfig(**SIZES | options)
        model = LittleBirdModel.build_model(asdict(cfg), SimpleNamespace(source_dictionary=load_dictionary(folder)))
        if span_head:
            model.register_span_head(span_head)
            (folder / "prepared.json").write_text(default_settings())
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)  # nothing stays as it starts
        model.eval()
        options = {name: str(value) if isinstance(value, str) else value for name, value in asdict(cfg).items()}
        content = {"cfg": {"model": options | {"_name": "littlebird"}}, "model": model.state_dict()}
        torch.save(content, folder / "checkpoint_best.pt")
        return model, folder

    return make

"""Pretrained models whose files were changed: a source of the sizes that it says, or one line about it."""

from __future__ import annotations

import argparse
import io
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import save

from fairseq_littlebird.conversion.adapters import HUGGING_FACE
from fairseq_littlebird.conversion.fairseq_roberta import FAIRSEQ_ROBERTA
from fairseq_littlebird.conversion.parameters import TOKEN_TYPES, encoder_shapes
from fairseq_littlebird.conversion.reading import read_source
from fairseq_littlebird.modules.config import FullAttentionConfig

SIZES = FullAttentionConfig(vocab_size=7, layers=2, embed_dim=4, ffn_embed_dim=8, heads=2, max_positions=6)
SHAPES = encoder_shapes(SIZES) | {TOKEN_TYPES: (2, 4)}
CONFIG = {
    "model_type": "bert",
    "vocab_size": 7,
    "hidden_size": 4,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": 6,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "is_decoder": False,
    "embedding_size": None,
}
SETTINGS = {
    "_name": "roberta",
    "encoder_attention_heads": 2,
    "activation_fn": "gelu",
    "encoder_normalize_before": False,
    "layer_norm_eps": 1e-5,
}


def weights(adapter, without=()):
    """Parameters under the names of a source."""
    torch.manual_seed(0)
    return adapter.from_ours({key: torch.rand(shape) for key, shape in SHAPES.items() if key not in without})


def plain(value):
    """A tree as Python's own objects, floats where a file would have other numbers."""
    if isinstance(value, list) and value and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        try:
            return {key: plain(member) for key, member in value}
        except TypeError:
            pass
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


class Pickled(NamedTuple):
    """A file of ``torch.save``."""

    content: Any
    hostile: Any
    namespace: bool = False

    def changed(self, changes):
        stream, content = io.BytesIO(), plain(self.hostile.changed(self.content, changes))
        if self.namespace and isinstance(content, dict) and isinstance(content.get("args"), dict):
            content["args"] = argparse.Namespace(**{str(key): value for key, value in content["args"].items()})
        torch.save(content, stream)
        return stream.getvalue()


def read(folder):
    source = read_source(folder)
    assert source.config.layers == 2 or source.state
    shapes = encoder_shapes(source.config)
    assert all(tuple(source.state[key].shape) == shape for key, shape in shapes.items())
    assert all(value.dtype in (torch.float32, torch.int64) for value in source.state.values())


@pytest.mark.parametrize("kind", ["bert", "roberta", "longformer", "electra"])
def test_hugging_face(hostile, kind):
    config = CONFIG | {"model_type": kind, "max_position_embeddings": 6, "attention_window": [4, 4]}
    state = weights(HUGGING_FACE[kind])
    if kind == "longformer":
        state |= {
            key.replace(name, f"{name}_global"): value.clone()
            for name in ("query", "key", "value")
            for key, value in state.items()
            if f".{name}." in key
        }
    names = sorted(state)
    first, second = ({name: state[name] for name in part} for part in (names[:9], names[9:]))
    index = {"metadata": {}, "weight_map": {name: "a.safetensors" if name in first else "b.bin" for name in state}}
    config = {"config.json": hostile.Json(config)}
    shards = {
        "model.safetensors.index.json": hostile.Json(index),
        "a.safetensors": hostile.Bytes(save(first)),
        "b.bin": Pickled(second, hostile),
    }
    hostile.run(config | {"model.safetensors": hostile.Bytes(save(state))}, config | shards, read=read)


def test_fairseq(hostile):
    state = weights(FAIRSEQ_ROBERTA, {TOKEN_TYPES})
    new = {"args": None, "cfg": {"model": SETTINGS, "task": {"data": "x:y"}}, "model": state}
    old = {"args": SETTINGS | {"data": "x"}, "model": state}
    words = {"dict.txt": hostile.Bytes(b"")}
    folders = [{"model.pt": Pickled(content, hostile, "cfg" not in content)} | words for content in (new, old)]
    hostile.run(*folders, read=read, changed=1)


def test_our_own(hostile):
    model = {"_name": "bigbird_itc", "encoder_attention_heads": 2, "block_size": 4, "random_blocks": 1}
    model |= {"random_attention": "seeded", "random_seed": 0}
    state = {name: torch.rand(shape) for name, shape in encoder_shapes(SIZES).items()}
    content = Pickled({"cfg": {"model": model}, "model": state}, hostile)
    hostile.run({"model.pt": content, "dict.txt": hostile.Bytes(b"")}, read=read, changed=1)

"""What the scripts run in and start from."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.processes import ForkServer
from helpers.stand_ins import StandIns

from fairseq_littlebird.conversion.adapters import HUGGING_FACE
from fairseq_littlebird.conversion.parameters import TOKEN_TYPES, encoder_shapes
from fairseq_littlebird.modules.config import FullAttentionConfig


@pytest.fixture(scope="session")
def with_stand_ins(forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment with commands of Python that start in a tenth of a second."""
    commands = tmp_path_factory.mktemp("venv") / "bin"
    stand_ins = StandIns(forks, commands)
    yield os.environ | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    stand_ins.close()


@pytest.fixture(scope="session")
def environment(with_stand_ins: dict[str, str]) -> dict[str, str]:
    """The same, in a folder that scripts/environment.sh takes for one that it has made."""
    stamp = Path(sys.prefix) / "made"
    if not stamp.exists():
        pytest.skip(f"{sys.prefix} was not made by scripts/environment.sh")
    folder = Path(with_stand_ins["PATH"].split(os.pathsep)[0]).parent
    shutil.copy(stamp, folder)
    return with_stand_ins | {"LITTLEBIRD_VENV": str(folder)}


@pytest.fixture(scope="session")
def bert(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder without a masked-language-model head, as sentence encoders are."""
    safetensors = pytest.importorskip("safetensors.torch")
    folder = tmp_path_factory.mktemp("bert")
    words = sorted({*(tiny / "text.train.txt").read_text("utf-8").lower().replace(".", " .").split(), *".?!"})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", "utf-8")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    config = {"model_type": "bert", "vocab_size": len(pieces), "max_position_embeddings": 64, "hidden_act": "gelu"}
    (folder / "config.json").write_text(json.dumps(config | sizes))
    own = FullAttentionConfig(len(pieces), layers=2, embed_dim=32, ffn_embed_dim=48, heads=2, max_positions=64)
    generator = torch.Generator().manual_seed(0)
    ours = {key: torch.randn(shape, generator=generator) * 0.1 for key, shape in encoder_shapes(own).items()}
    weights = HUGGING_FACE["bert"].from_ours(ours | {TOKEN_TYPES: torch.zeros(2, 32)})
    safetensors.save_file(weights, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="session")
def modernbert(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ModernBERT with its head as transformers writes it, local and full attention in turn."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("modernbert")
    words = sorted({*(tiny / "text.train.txt").read_text("utf-8").replace(".", " .").split(), *".?!"})
    names = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    pieces = {piece: n for n, piece in enumerate([*words, *names])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(pieces, "[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(names)
    tokenizer.save(str(folder / "tokenizer.json"))
    called = {f"{name[1:-1].lower()}_token": name for name in names}
    (folder / "tokenizer_config.json").write_text(json.dumps(called))
    sizes = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 48}
    roles = {"bos": "[CLS]", "cls": "[CLS]", "eos": "[SEP]", "sep": "[SEP]", "pad": "[PAD]"}
    ids = {f"{role}_token_id": pieces[name] for role, name in roles.items()}
    torch.manual_seed(0)
    config = transformers.ModernBertConfig(vocab_size=len(pieces), local_attention=16, **sizes, **ids)
    transformers.ModernBertForMaskedLM(config).save_pretrained(folder)
    return folder

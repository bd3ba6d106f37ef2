"""Documents with summaries, prepared, and tiny summarizers trained on them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fairseq_littlebird.cli.prepare import main as prepare

SIZES = {
    "led": """--arch led_tiny --encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48
        --encoder-attention-heads 2 --attention-window 16 --max-positions 128 --decoder-max-positions 24""",
    "littlebird": """--arch littlebird_seq2seq_tiny --encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 32
        --encoder-ffn-embed-dim 48 --encoder-attention-heads 2 --pack-size 8 --block-size 16
        --decoder-max-positions 24 --padding-insertion""",
}
TASK = "--task summarization --criterion label_smoothed_cross_entropy --label-smoothing 0.1".split()
TRAINING = """--optimizer adam --lr 3e-3 --batch-size 16 --no-epoch-checkpoints --log-format json --log-interval 1
    --num-workers 1 --eval-rouge 6 --eval-rouge-max-length 20""".split()
WORDS = "stone bridge glass tower river port night train salt mine clock maker paper mill old harbour".split()


def records(split: str, count: int) -> Iterator[dict[str, Any]]:
    """A document quotes three words, which are its summary."""
    rng = random.Random(split)
    for n in range(count):
        words = rng.choices(WORDS, k=rng.randint(12, 30))
        at = rng.randrange(len(words) - 3)
        text = " ".join([*words[:at], "In Oslo.", *words[at:]])
        yield {"id": f"{split} {n}", "document": f"{text}.", "summary": [" ".join(words[at : at + 3]) + "."]}


def write(path: Path, lines: Any) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def prepared(tiny: Path, folder: Path, *more: Any) -> Path:
    words = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt", "--destdir", f"{folder}"]
    prepare(["summarization", *map(str, more), *words])
    return folder


@pytest.fixture(scope="session")
def summary_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Split -> its JSON lines."""
    folder = tmp_path_factory.mktemp("files")
    return {s: write(folder / f"{s}.jsonl", records(s, n)) for s, n in (("train", 60), ("valid", 9), ("test", 5))}


@pytest.fixture(scope="session")
def summary_data(tiny: Path, summary_files: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that littlebird-prepare made of them."""
    splits = [word for split, path in summary_files.items() for word in (f"--{split}", path)]
    return prepared(tiny, tmp_path_factory.mktemp("data") / "data", *splits)


@pytest.fixture(scope="session")
def train_summarizer(fairseq: Callable[..., Any]) -> Callable[..., Any]:
    """``train_summarizer(data, save_dir, model, updates, *more, status=0)``: fairseq-train of one of ``SIZES``."""

    def train(data: Any, save_dir: Path, model: str, updates: int, *more: Any, status: int = 0) -> Any:
        own = [data, *TASK, "--cpu", *TRAINING, *SIZES[model].split(), "--save-dir", save_dir]
        return fairseq("train", *own, "--max-update", updates, *more, status=status)

    return train


@pytest.fixture(scope="session")
def summarizers(
    train_summarizer: Callable[..., Any], summary_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, Any]]:
    """Model -> the folder of a run over an epoch and a bit, and what it printed."""
    folder = tmp_path_factory.mktemp("runs")
    return {model: (folder / model, train_summarizer(summary_data, folder / model, model, 6)) for model in SIZES}

"""What all tests share."""

from __future__ import annotations

import fcntl
import gc
import importlib.util
import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers import markers
from helpers.processes import COMMANDS, ForkServer
from hypothesis import HealthCheck, settings

from fairseq_littlebird import register

# the same examples every time, however busy the machine; LITTLEBIRD_FUZZ draws others
settings.register_profile(
    "tests",
    derandomize="LITTLEBIRD_FUZZ" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")

pytest_plugins = ["helpers.dna", "helpers.language_models", "helpers.summaries", "helpers.training", "helpers.wheel"]

# as a program does that uses fairseq's own functions
register()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        markers.mark(item)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets: ``LITTLEBIRD_DATA``, or ``shared/data`` beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LITTLEBIRD_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set LITTLEBIRD_DATA")
    return folder


@pytest.fixture(scope="session")
def transformers() -> Any:
    """The library, which nothing but the benchmarks imports."""
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    import transformers

    return transformers


@pytest.fixture
def largest_tensor() -> Any:
    """A context manager; its ``numel`` is the size of the largest tensor that any operation within it made."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class LargestTensor(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            for leaf in tree_leaves(result):
                # a view such as expand holds no elements of its own
                if isinstance(leaf, torch.Tensor) and leaf.untyped_storage().nbytes() and not leaf.is_sparse:
                    self.numel = max(self.numel, leaf.untyped_storage().nbytes() // leaf.itemsize)
            return result

    return LargestTensor


WORDS = {
    "name": "Mara Lindt,Ivo Brandt,Sena Okoye,Tarik Aziz,Lena Moreau,Hugo Silva,Nora Quist,Pavel Dorn".split(","),
    "place": "Oslo,Porto,Lima,Quito,Turin,Malmo,Basel,Cork".split(","),
    "thing": "stone bridge,glass tower,river port,night train,salt mine,clock maker,paper mill,old harbour".split(","),
    "act": "studied,painted,measured,described,repaired,visited".split(","),
}
TEMPLATES = (
    "{name} {act} the {thing} in {place}.",
    "Was the {thing} of {place} ever {act} by {name}?",
    "In {place} nobody knew that {name} {act} a {thing}!",
)


def _article(rng: Any, sentences: int) -> str:
    """English of a kind: names, places and things recur."""
    lines = []
    for _ in range(sentences):
        chosen = {kind: rng.choice(words) for kind, words in WORDS.items()}
        lines.append(rng.choice(TEMPLATES).format(**chosen))
    return " ".join(lines)


def _questions(rng: Any, articles: int, version: str) -> dict[str, Any]:
    """SQuAD 2.0: who did something in a town; one question in four has no answer."""
    data = []
    for a in range(articles):
        context = _article(rng, 14)
        who, where = "Greta Holm", rng.choice(WORDS["place"])
        at = rng.choice([0, len(context) // 2, len(context)])
        at = context.rfind(". ", 0, at) + 2 if at else 0
        context = f"{context[:at]}{who} founded the school of {where}. {context[at:]}"
        known = {"text": who, "answer_start": context.index(who)}
        qas = [
            {"id": f"{version}-{a}-{q}", "question": f"Who founded the school of {where}?", "answers": [known],
             "is_impossible": False}
            for q in range(3)
        ]  # fmt: skip
        qas.append({"id": f"{version}-{a}-3", "question": "Who sold it?", "answers": [], "is_impossible": True})
        data.append({"title": f"Article {a}", "paragraphs": [{"context": context, "qas": qas}]})
    return {"version": "v2.0", "data": data}


@pytest.fixture(scope="session")
def commands() -> Path:
    """The folder of fairseq's own console commands."""
    return COMMANDS


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    gc.collect()  # workers that load data, forked after the server, would keep its pipe open
    server.close()


@pytest.fixture(scope="session")
def forks(fork_server: ForkServer) -> ForkServer:
    """``forks.run(words, cwd, …)`` runs a Python program in a process of its own, started in a tenth of a second."""
    return fork_server


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], Any]], Path]:
    """``once(name, make)``: a folder that ``make(folder)`` has filled in the first process that asks for it.

    All processes of a test run share it, so that tests must leave it as it is.
    """
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "once"

    def once(name: str, make: Callable[[Path], Any]) -> Path:
        shared.mkdir(exist_ok=True)
        folder, made = shared / name, shared / f"{name}.made"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
                folder.mkdir()
                make(folder)
                made.touch()
        return folder

    return once


@pytest.fixture(scope="session")
def tiny(once: Callable[..., Path], fork_server: ForkServer) -> Path:
    """Small data of every kind, made by the commands a user has.

    ``tokenizer/``; ``text/`` binarized for masked LM and recurring spans; ``questions/`` prepared, of windows of
    64 tokens, and ``valid.json`` beside it; ``classes/`` for sentence_prediction, each with splits train and valid.
    """
    return once("tiny", lambda folder: _make_tiny(folder, fork_server))


def _make_tiny(folder: Path, forks: ForkServer) -> None:
    from fairseq_littlebird.cli.prepare import main as prepare

    def preprocess(prefix: str, destination: str, dictionary: str | None) -> None:
        arguments = ["--only-source", "--trainpref", f"{prefix}.train", "--validpref", f"{prefix}.valid"]
        arguments += ["--srcdict", dictionary] if dictionary else []
        done = forks.run([COMMANDS / "fairseq-preprocess", *arguments, "--destdir", destination], cwd=folder)
        assert done.returncode == 0, done.stderr

    rng = random.Random(0)
    for split, articles in (("train", 40), ("valid", 6)):
        text = "\n\n".join(_article(rng, 20) for _ in range(articles))
        (folder / f"text.{split}.txt").write_text(text + "\n", "utf-8")
        (folder / f"{split}.json").write_text(json.dumps(_questions(rng, articles // 4, split)), "utf-8")
    prepare(
        ["tokenizer", "--input", f"{folder}/text.train.txt", "--vocab-size", "350", "--destdir", f"{folder}/tokenizer"]
    )
    for split in ("train", "valid"):
        source, symbols = f"{folder}/text.{split}.txt", f"{folder}/symbols.{split}"
        prepare(["text", "--tokenizer", f"{folder}/tokenizer", "--input", source, "--output", symbols])
        lines = [line for line in Path(symbols).read_text("utf-8").splitlines() if line]
        (folder / f"short.{split}").write_text("".join(" ".join(line.split()[:24]) + "\n" for line in lines))
        (folder / f"label.{split}").write_text("".join(f"{n % 2}\n" for n in range(len(lines))))
    preprocess("symbols", "text", "tokenizer/dict.txt")
    preprocess("short", "classes/input0", "tokenizer/dict.txt")
    preprocess("label", "classes/label", None)
    prepare(
        ["qa", "--dataset", "squad", "--train", f"{folder}/train.json", "--valid", f"{folder}/valid.json",
         "--tokenizer", f"{folder}/tokenizer", "--dict", f"{folder}/tokenizer/dict.txt",
         "--max-tokens", "64", "--stride", "24", "--destdir", f"{folder}/questions"]
    )  # fmt: skip


@pytest.fixture(scope="session")
def script() -> Iterator[Callable[[str], ModuleType]]:
    """A script of the repository, by its path there, as a module."""
    names: list[str] = []

    def load(path: str) -> ModuleType:
        file = Path(__file__).resolve().parents[1] / path
        spec = importlib.util.spec_from_file_location(f"script_{file.stem}", file)
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look there
        names.append(spec.name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def in_simplified_format(script) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A record of TyDi QA as one of Natural Questions, from the benchmark that needs such records too."""
    return script("scripts/experiments/overfit.py").simplified

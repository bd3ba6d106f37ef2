"""The documentation's pages in blocks, and a folder in which their commands and snippets run."""

from __future__ import annotations

import argparse
import configparser
import contextlib
import importlib
import io
import json
import logging
import os
import re
import runpy
import shutil
import socket
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


class Block(NamedTuple):
    """A fenced block: where it stands, its language, its title (a file's name) and its text."""

    page: str
    line: int
    language: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


FENCE = re.compile(r"(?P<indent> *)(?P<fence>```+)\s*(?P<language>[\w+-]*)(?P<more>[^`]*)$")
TITLE = re.compile(r'title="([^"]*)"')


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a page, in its order."""
    found: list[Block] = []
    lines = iter(enumerate(path.read_text("utf-8").splitlines(), start=1))
    for number, line in lines:
        if not (opening := FENCE.match(line)):
            continue
        text, indent = [], len(opening["indent"])
        for _, line in lines:
            if line.strip() == opening["fence"]:
                break
            text.append(line[indent:])
        title = TITLE.search(opening["more"])
        body = "".join(f"{line}\n" for line in text)
        found.append(Block(str(path.relative_to(ROOT)), number, opening["language"], title[1] if title else "", body))
    return found


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def blocks_of() -> Callable[[Path], list[Block]]:
    return blocks


@contextlib.contextmanager
def inside(folder: str | Path) -> Iterator[None]:
    """In another working directory."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


class Parsed(Exception):
    """A command's arguments are understood."""


STAND_IN = """#!{python} -ISs
import json, os, socket, sys
with socket.create_connection(("127.0.0.1", {port})) as tour:
    words = [{name!r}, *sys.argv[1:]]
    tour.sendall(json.dumps({{"words": words, "cwd": os.getcwd()}}).encode() + b"\\n")
    answer = json.loads(b"".join(iter(lambda: tour.recv(65536), b"")))
sys.stdout.write(answer["out"])
sys.stderr.write(answer["err"])
sys.exit(answer["status"])
"""
SOURCED = '#!/bin/bash\n"{stand_in}" "$@"\n'  # of a shell script, which may be sourced


class Tour:
    """A folder where the blocks of pages run one after the other, as one user would run them.

    bash runs the literal text of a block; programs named in ``handle`` are stand-ins that ask this process, which
    has PyTorch and fairseq loaded.

    Args:
        folder: to run in.
        handle: words of a command, and the names that other pages have taken, to its exit status; what it prints is
            the command's output.
        programs: names of the commands to stand in for.
        scripts: paths below the repository of shell scripts to stand in for.
    """

    def __init__(
        self,
        folder: Path,
        handle: Callable[[list[str], set[str]], int],
        programs: Sequence[str],
        scripts: Sequence[str],
    ) -> None:
        self.folder, self.handle, bin_folder = folder / "work", handle, folder / "bin"
        self.there: set[str] = set()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(0.05)
        port = self.server.getsockname()[1]
        for each in (self.folder, bin_folder):
            each.mkdir()
        for name in [*programs, *scripts]:
            path = bin_folder / name.replace("/", "_")
            path.write_text(STAND_IN.format(python=sys.executable, port=port, name=name))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
            if name in scripts:
                script = self.folder / name
                script.parent.mkdir(exist_ok=True, parents=True)
                script.write_text(SOURCED.format(stand_in=path))
                script.chmod(script.stat().st_mode | stat.S_IXUSR)
        self.environment = os.environ | {
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }

    def shell(self, text: str) -> tuple[int, str]:
        """Runs a block with bash in the folder: exit status and what it printed."""
        with (self.folder.parent / "printed").open("w+") as printed:
            words = ["/bin/bash", "-euo", "pipefail", "-c", text]
            done = subprocess.Popen(
                words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed
            )
            while done.poll() is None:
                with contextlib.suppress(TimeoutError):
                    self._serve(self.server.accept()[0])
            printed.seek(0)
            return done.returncode, printed.read()

    def _serve(self, caller: socket.socket) -> None:
        with caller:
            request = b""
            while not request.endswith(b"\n"):
                request += caller.recv(65536)
            asked = json.loads(request)
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), inside(asked["cwd"]):
                status = self._answer(asked["words"])
            answer = {"status": status, "out": out.getvalue(), "err": err.getvalue()}
            caller.sendall(json.dumps(answer).encode())

    def _answer(self, words: list[str]) -> int:
        try:
            return self.handle(words, self.there)
        except SystemExit as stop:
            if isinstance(stop.code, str):
                print(stop.code, file=sys.stderr)
            return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
        except Exception:
            traceback.print_exc()
            return 1

    def python(self, text: str, names: dict[str, Any]) -> str:
        """Runs a snippet in the folder, as the part of a program whose names are given; what it printed."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), inside(self.folder):
            exec(compile(text, "snippet", "exec"), names)
        return out.getvalue()


def _forget() -> None:
    """What fairseq and Hydra remember of a command for as long as a process lives."""
    from fairseq.checkpoint_utils import save_checkpoint
    from fairseq_cli.train import should_stop_early
    from hydra.core.global_hydra import GlobalHydra

    for function in (save_checkpoint, should_stop_early):
        vars(function).clear()  # the best checkpoint's score
    GlobalHydra.instance().clear()


def _main(program: str) -> Callable[[], Any]:
    """What a console command calls."""
    if program.startswith("fairseq-"):
        name = program.removeprefix("fairseq-").replace("-", "_")
        return importlib.import_module(f"fairseq_cli.{name}").cli_main
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    commands = settings["options.entry_points"]["console_scripts"].split("\n")
    module, _, name = dict(line.split(" = ") for line in commands if line)[program].partition(":")
    return getattr(importlib.import_module(module), name)


@contextlib.contextmanager
def _arguments(words: Sequence[str]) -> Iterator[None]:
    before, sys.argv = sys.argv, list(words)
    root = logging.getLogger()  # Hydra takes it for itself
    handlers, level, disabled, threads = root.handlers[:], root.level, root.manager.disable, torch.get_num_threads()
    _forget()
    try:
        yield
    finally:
        sys.argv, root.handlers[:] = before, handlers
        root.setLevel(level)
        logging.disable(disabled)
        torch.set_num_threads(threads)
        _forget()


def call(words: Sequence[str]) -> int:
    """Runs a console command, or ``python FILE``, in this process."""
    with _arguments(words[1:] if words[0] == "python" else words):
        if words[0] == "python":
            with pytest.MonkeyPatch.context() as patch:
                patch.syspath_prepend(str((ROOT / words[1]).parent))  # as python does
                runpy.run_path(str(ROOT / words[1]), run_name="__main__")
        else:
            _main(words[0])()
    return 0


def parse(words: Sequence[str]) -> int:
    """Reads the arguments of a console command, or of ``python FILE``, as it does, and goes no further."""
    parse_args = argparse.ArgumentParser.parse_args

    def stop(self: argparse.ArgumentParser, *arguments: Any, **more: Any) -> Any:
        parse_args(self, *arguments, **more)
        raise Parsed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        with contextlib.suppress(Parsed):
            call(words)
            raise AssertionError(f"{words[0]} reads its arguments without argparse")
    return 0


@pytest.fixture(scope="session")
def called() -> Callable[[Sequence[str]], int]:
    return call


@pytest.fixture(scope="session")
def parsed() -> Callable[[Sequence[str]], int]:
    return parse


@pytest.fixture(scope="session")
def tour_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Tour]:
    """``tour_of(handle, programs, scripts)``: a Tour in a folder of its own."""
    return lambda *arguments: Tour(tmp_path_factory.mktemp("tour"), *arguments)


def gemma_tokenizer(text: Path, folder: Path) -> int:
    """A tokenizer.json of mmBERT's kind, and how many tokens it has."""
    tokenizers = pytest.importorskip("tokenizers")
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = tokenizers.normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.decoder = tokenizers.decoders.Replace("▁", " ")
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=350, special_tokens=special, show_progress=False)
    tokenizer.train([str(text)], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos": "<bos>", "cls": "<bos>", "eos": "<eos>", "sep": "<eos>", "pad": "<pad>", "unk": "<unk>"}
    settings = {f"{role}_token": name for role, name in (names | {"mask": "<mask>"}).items()}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    count: int = tokenizer.get_vocab_size()
    return count


POSITIONS = {"xlm-roberta": 514, "longformer": 4098, "modernbert": 8192}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}


@pytest.fixture(scope="session")
def pretrained_model(tiny: Path) -> Callable[[Path, str], None]:
    """``pretrained_model(folder, kind)`` writes a Hugging Face folder with random weights.

    kind: xlm-roberta, with SentencePiece and a head for words; modernbert, with Gemma's names of special tokens, as
    mmBERT, and a head for words; longformer, with GPT-2's byte BPE and a head for questions.
    """
    safetensors = pytest.importorskip("safetensors.torch")
    import sentencepiece

    from fairseq_littlebird.conversion.adapters import HUGGING_FACE
    from fairseq_littlebird.conversion.parameters import (
        QA,
        TOKEN_TYPES,
        encoder_shapes,
        global_shapes,
        head_shapes,
    )
    from fairseq_littlebird.modules.config import FullAttentionConfig
    from fairseq_littlebird.modules.size_names import FORM

    def words_of(folder: Path, kind: str) -> int:
        if kind == "xlm-roberta":
            shutil.copy(tiny / "tokenizer" / "sentencepiece.model", folder / "sentencepiece.bpe.model")
            model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentencepiece.bpe.model"))
            return model.get_piece_size() + 2
        if kind == "modernbert":
            return gemma_tokenizer(tiny / "text.train.txt", folder)
        byte_level = pytest.importorskip("tokenizers.pre_tokenizers").ByteLevel
        units = ["<s>", "<pad>", "</s>", "<unk>", *sorted(byte_level.alphabet()), "he", "in", "<mask>"]
        (folder / "vocab.json").write_text(json.dumps({unit: n for n, unit in enumerate(units)}), "utf-8")
        (folder / "merges.txt").write_text("#version: 0.2\nh e\ni n\n", "utf-8")
        return len(units)

    def write(folder: Path, kind: str) -> None:
        folder.mkdir()
        count, positions = words_of(folder, kind), POSITIONS[kind]
        config = {"model_type": kind, "vocab_size": count, "max_position_embeddings": positions, "pad_token_id": 1}
        if kind == "longformer":
            config |= {"attention_window": [12, 12]}
        if kind == "modernbert":  # as release 4 of transformers wrote mmBERT's
            config |= {"pad_token_id": 0, "local_attention": 128, "global_attn_every_n_layers": 3, "norm_eps": 1e-5}
            config |= {
                "global_rope_theta": 160000.0,
                "local_rope_theta": 160000.0,
                "position_embedding_type": "sans_pos",
            }
        (folder / "config.json").write_text(json.dumps(config | SIZES))
        form = dict.fromkeys(FORM, True) | {"positions": "rotary"} if kind == "modernbert" else {}
        own = FullAttentionConfig(
            count, layers=2, embed_dim=32, ffn_embed_dim=48, heads=2, max_positions=positions, **form
        )
        shapes = encoder_shapes(own) | ({} if form else {TOKEN_TYPES: (1, 32)})
        if kind != "longformer":
            shapes |= head_shapes(own)
        else:
            shapes |= {f"{QA}.weight": (2, 32), f"{QA}.bias": (2,)} | global_shapes(own)
        generator = torch.Generator().manual_seed(0)
        ours = {key: torch.randn(shape, generator=generator) * 0.1 for key, shape in shapes.items()}
        theirs = HUGGING_FACE[kind].from_ours(ours)
        weights = {
            key: value for key, value in theirs.items() if "decoder.weight" not in key and ".decoder." not in key
        }
        safetensors.save_file(weights, folder / "model.safetensors")

    return write

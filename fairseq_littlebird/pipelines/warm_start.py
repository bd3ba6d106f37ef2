"""A pretrained encoder becomes a folder with a model of this plugin (section 3.4, step 1)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from fairseq_littlebird.checkpoints.dictionary import MASK
from fairseq_littlebird.checkpoints.tensors import load_tensors
from fairseq_littlebird.conversion import vocabulary, warm_start
from fairseq_littlebird.conversion.reading import read_source
from fairseq_littlebird.conversion.report import next_commands, report
from fairseq_littlebird.conversion.seq2seq.reading import read_any
from fairseq_littlebird.conversion.seq2seq.report import seq2seq_report
from fairseq_littlebird.conversion.source import Source
from fairseq_littlebird.conversion.targets import SEQ2SEQ, TARGETS, check_options
from fairseq_littlebird.conversion.vocabulary import VocabularyMap
from fairseq_littlebird.data.model_folder import write_own_files
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.output import check_folder, whole_folder
from fairseq_littlebird.pipelines.seq2seq_warm_start import build_seq2seq
from fairseq_littlebird.pipelines.warm_start_model import (
    build_encoder,
    check_target,
    model_arguments,
    model_options,
    new_checkpoint,
)
from fairseq_littlebird.registration import register
from fairseq_littlebird.text.tokenizers import FILES, Tokenizer, load_tokenizer

NAMES = ("checkpoint.pt", "model.args", "README.md", *FILES)
"""Every name in the folder."""


@dataclass(frozen=True)
class WarmStart:
    """What to write.

    Args:
        source: a pretrained model, see :func:`read_source`.
        out: the folder to write.
        to: one of ``TARGETS``.
        arch: a fairseq architecture; None takes one of the source's size.
        layers: how many of the source's; None for all.
        options: of the model, by fairseq's names, instead of the architecture's.
        new_tokens: to add to the dictionary.
        html_tags: add tokens for the tags of a document's structure, too.
        seed: of what is drawn at random.
        overwrite: replace what an earlier call wrote.
    """

    source: str
    out: str
    to: str = "littlebird"
    arch: str | None = None
    layers: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    new_tokens: tuple[str, ...] = ()
    html_tags: bool = False
    seed: int = 1
    overwrite: bool = False


def write_warm_start(plan: WarmStart) -> str:
    """Writes the folder: checkpoint, dict.txt, the tokenizer's files, model.args and README.md.

    Returns:
        what was written, in a line.
    Raises:
        UserError: a source or options that do not fit; nothing is written then.
    """
    check_folder(plan.out, NAMES, plan.overwrite)
    check_options(plan.to, plan.options)
    register()
    if plan.to in SEQ2SEQ:
        return _write_seq2seq(plan)
    source, target = read_source(plan.source), TARGETS[plan.to]
    check_target(source, plan.to)
    with TemporaryDirectory() as own:
        mapped, tokenizer = _vocabulary(source, plan, Path(own))
        layers = warm_start.spaced_layers(source.config.layers, _layer_count(source, plan))
        model, arch = model_options(source, plan.to, plan.arch, layers, plan.options)
        title, config = build_encoder(target, model, len(mapped.symbols))
        generator = torch.Generator().manual_seed(plan.seed)
        state = getattr(warm_start, target.state)(source, mapped, config, layers, generator)
        arguments = model_arguments(arch, model, target, config)
        with whole_folder(plan.out, NAMES, plan.overwrite) as folder:
            (folder / "dict.txt").write_text("".join(f"{line}\n" for line in mapped.lines), "utf-8")
            (folder / "model.args").write_text(arguments + "\n", "utf-8")
            for name, file in (tokenizer.files if tokenizer else {}).items():
                shutil.copyfile(file, folder / name)
            checkpoint = new_checkpoint(state, model, target, source.span_head, folder, Path(plan.out).resolve())
            torch.save(checkpoint, folder / "checkpoint.pt")
            commands, files = next_commands(source, config, plan.to, plan.out), _tokenizer_line(tokenizer)
            text = report(title, source, mapped, config, state, layers, arguments, commands, files)
            (folder / "README.md").write_text(text, "utf-8")
    count = sum(value.numel() for value in state.values())
    head = "a masked-language-model head" if source.has_head else f"a span head ({source.span_head})"
    return (
        f"{plan.out}: {arch} from {source.kind}, {len(layers)} layers, {count:,} parameters, "
        f"{len(mapped.symbols):,} tokens, {len(mapped.new)} of them new, "
        f"{f'with {head}' if source.has_head or source.span_head else 'without a head'}; "
        "README.md lists what was mapped, dropped and initialised"
    )


def _write_seq2seq(plan: WarmStart) -> str:
    """As :func:`write_warm_start`, for an encoder–decoder."""
    source = read_any(plan.source)
    check_target(source.encoder, plan.to)
    with TemporaryDirectory() as own:
        mapped, tokenizer = _vocabulary(source.encoder, plan, Path(own), source.special_ids)
        layers = warm_start.spaced_layers(source.encoder.config.layers, _layer_count(source.encoder, plan))
        there = source.sizes.layers if source.sizes else source.encoder.config.layers
        decoder_layers = layers
        if source.sizes:
            decoder_layers = warm_start.spaced_layers(there, min(plan.layers or there, there))
        made = build_seq2seq(
            source, mapped, layers, decoder_layers, plan.to, arch=plan.arch, given=plan.options, seed=plan.seed
        )
        lines = mapped.lines if mapped.symbols[-1] != MASK else [*mapped.lines, f"{MASK} 0"]  # fairseq's tasks add none
        with whole_folder(plan.out, NAMES, plan.overwrite) as folder:
            (folder / "dict.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
            (folder / "model.args").write_text(made.arguments + "\n", "utf-8")
            for name, file in (tokenizer.files if tokenizer else {}).items():
                shutil.copyfile(file, folder / name)
            torch.save(made.checkpoint(folder, Path(plan.out).resolve()), folder / "checkpoint.pt")
            text = seq2seq_report(
                source, mapped, made.state, made.initialised, made.arguments, plan.out, _tokenizer_line(tokenizer)
            )
            (folder / "README.md").write_text(text, "utf-8")
    return (
        f"{plan.out}: {made.arch} from {source.encoder.kind}, {len(layers)} encoder and {len(decoder_layers)} decoder "
        f"layers, {made.parameters:,} parameters, {len(mapped.symbols):,} tokens, {len(mapped.new)} of them "
        f"new, cross-attention {'of the source' if source.sizes else 'newly initialised'}; "
        "README.md lists what was mapped, dropped and initialised"
    )


def _layer_count(source: Source, plan: WarmStart) -> int:
    there = source.config.layers
    wanted = plan.layers or there
    if wanted > there:
        raise UserError(f"{wanted} layers of {there}", plan.source, "name no more layers than the source has")
    return wanted


def _vocabulary(
    source: Source, plan: WarmStart, own: Path, special_ids: Mapping[str, int] | None = None
) -> tuple[VocabularyMap, Tokenizer | None]:
    """The dictionary, and the tokenizer if there is one.

    Args:
        source, plan: see there.
        own: an empty folder, for the dictionary and the tokenizer that a checkpoint carries.
        special_ids: Pegasus' ids of special tokens; None for other sources.
    """
    count, where = source.config.vocab_size, str(source.folder)
    new = [*plan.new_tokens, *(vocabulary.HTML_TAGS if plan.html_tags else ())]
    if source.dictionary is not None:
        mapped = vocabulary.map_of_dictionary(source.dictionary, count, new, where)
        write_own_files(own, load_tensors(source.path, mapped=True), source.path)
        return mapped, _tokenizer_beside(own / "dict.txt")
    tokenizer = load_tokenizer(source.folder)
    numbers = tokenizer.numbers()
    if special_ids is not None:
        numbers = vocabulary.pegasus_numbers(numbers, special_ids, count)
    elif tokenizer.kind == "sentencepiece" and MASK not in numbers:  # XLM-R's; BigBird's has all its tokens
        numbers = vocabulary.xlm_roberta_numbers(numbers)
    return vocabulary.map_of_tokenizer(tokenizer.symbols(), numbers, count, new, where), tokenizer


def _tokenizer_beside(dictionary: Path) -> Tokenizer | None:
    """The tokenizer in the dictionary's folder; fairseq's RoBERTa comes without one."""
    folder = dictionary.parent
    sets = (("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt"), ("tokenizer.json",), ("vocab.txt",))
    if any(folder.glob("*.model")) or any(all((folder / name).exists() for name in names) for names in sets):
        return load_tokenizer(folder, dictionary)
    return None


def _tokenizer_line(tokenizer: Tokenizer | None) -> str:
    if tokenizer is None:
        return (
            "The source came without its tokenizer: put its files (RoBERTa: `encoder.json` and `vocab.bpe`; XLM-R: "
            "`sentencepiece.model`) into this folder before littlebird-prepare."
        )
    return f"Copied: {', '.join(f'`{name}`' for name in tokenizer.files)} ({tokenizer.kind})."

"""The encoder–decoder that a warm start writes, built as fairseq builds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models import MODEL_REGISTRY
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from torch import nn

from fairseq_littlebird.checkpoints.dictionary import SPECIAL
from fairseq_littlebird.conversion.key_map import State
from fairseq_littlebird.conversion.seq2seq.source import Seq2SeqSource
from fairseq_littlebird.conversion.seq2seq.states import check_kind, seq2seq_state
from fairseq_littlebird.conversion.targets import TARGETS, flag
from fairseq_littlebird.conversion.vocabulary import VocabularyMap
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.size_names import FAIRSEQ
from fairseq_littlebird.pipelines.warm_start_model import architecture_options, untrained_checkpoint

SIZES = ("layers", "embed_dim", "ffn_embed_dim", "heads", "layer_norm_eps", "activation")
"""Those that the weights fix, by the names of EncoderConfig."""
DECODER_SIZES = ("decoder_layers", "decoder_ffn_embed_dim", "decoder_attention_heads")
TIED = ("decoder.embed_tokens.weight", "decoder.output_projection.weight", "decoder.version")
"""Of the model's keys those that no source has: token embeddings again, and fairseq's mark."""


@dataclass(frozen=True)
class Seq2SeqWarmStart:
    """What was built.

    Args:
        arch: the architecture's name.
        options: every option of the model, its name among them.
        model: with the source's parameters.
        state: what the source had for it.
        initialised: the keys that it had nothing for.
        arguments: how the model is asked for on fairseq-train's command line.
        start: the symbol that its decoder starts with.
    """

    arch: str
    options: dict[str, Any]
    model: Any
    state: State
    initialised: list[str]
    arguments: str
    start: str

    @property
    def parameters(self) -> int:
        """How many numbers the model has."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def checkpoint(self, folder: Path, data: Path) -> dict[str, Any]:
        """As fairseq's own before the first update; see :func:`untrained_checkpoint`."""
        criterion = "label_smoothed_cross_entropy", "LabelSmoothedCrossEntropyCriterion"
        task: dict[str, Any] = {"_name": "summarization"}
        if task["_name"] not in TASK_DATACLASS_REGISTRY:
            task = {"_name": "translation", "left_pad_source": False, "source_lang": "source", "target_lang": "target"}
        made = untrained_checkpoint(self.model.state_dict(), self.options, task, criterion, folder, data)
        made["task_state"]["decoder_start"] = self.start
        return made


def build_seq2seq(
    source: Seq2SeqSource,
    vocabulary: VocabularyMap,
    layers: Sequence[int],
    decoder_layers: Sequence[int],
    to: str,
    *,
    arch: str | None,
    given: Mapping[str, Any],
    seed: int,
) -> Seq2SeqWarmStart:
    """
    Args:
        source: what was read.
        vocabulary: the dictionary.
        layers, decoder_layers: the source's layers to keep.
        to: one of ``TARGETS``.
        arch: the architecture; None takes one of the source's size.
        given: options of the user.
        seed: of what is newly initialised.
    Raises:
        UserError: a source or options that do not fit.
    """
    check_kind(source, to)
    name = arch or default_architecture(source, to)
    options = model_options(source, to, name, layers, decoder_layers, given)
    dictionary = dictionary_of(vocabulary.symbols)
    task = SimpleNamespace(source_dictionary=dictionary, target_dictionary=dictionary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MODEL_REGISTRY[TARGETS[to].model].build_model(options, task)
    generator = torch.Generator().manual_seed(seed)
    config, positions = model.encoder.config, len(model.decoder.embed_positions.weight)
    state = seq2seq_state(source, to, vocabulary, config, positions, layers, decoder_layers, generator)
    missing, unexpected = nn.Module.load_state_dict(model, state, strict=False)
    assert not unexpected, unexpected
    initialised = [key for key in missing if key not in TIED]
    full = {"_name": TARGETS[to].model, **options}
    return Seq2SeqWarmStart(name, full, model, state, initialised, model_arguments(name, options, to), source.start)


def model_options(
    source: Seq2SeqSource,
    to: str,
    arch: str,
    layers: Sequence[int],
    decoder_layers: Sequence[int],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Every option of the model; arguments as :func:`build_seq2seq`'s."""
    encoder, config, target = source.encoder, source.encoder.config, TARGETS[to]
    options = architecture_options(arch, target.model)
    options |= {FAIRSEQ[size]: getattr(config, size) for size in SIZES} | {FAIRSEQ["layers"]: len(layers)}
    if source.sizes:
        sizes = len(decoder_layers), source.sizes.ffn_embed_dim, source.sizes.heads
        options |= dict(zip(DECODER_SIZES, sizes, strict=True))
    positions = source.sizes.max_positions if source.sizes else config.max_positions
    if to == "littlebird_seq2seq":
        options["max_positions"] = config.max_positions
    if encoder.model == to or (to, encoder.model) == ("bigbird_roberta", "bigbird_itc"):
        options |= source_options(encoder.options, layers) | {"max_positions": config.max_positions}
    options["decoder_max_positions"] = positions
    options |= {option: given[option] for option in target.options if option in given}
    if to == "bigbird_roberta" and "decoder_max_positions" not in given:
        options["decoder_max_positions"] = min(positions, options["max_positions"])
    if given.get("max_positions") and options.get("positions", "learned") != "learned":
        raise UserError("--max-positions without learned positions", remedy="add --positions learned")
    return options


def source_options(options: Mapping[str, Any], layers: Sequence[int]) -> dict[str, Any]:
    """The options that the source fixes, as the command line has them."""
    own = dict(options)
    if "attention_window" in own:
        windows = [str(own["attention_window"][n]) for n in layers]
        own["attention_window"] = windows[0] if len({*windows}) == 1 else ",".join(windows)
    return own


def default_architecture(source: Seq2SeqSource, to: str) -> str:
    """The one whose name says most about the source's size; its sizes are given anyway."""
    width = source.encoder.config.embed_dim
    sizes = {"led": ("base", "large"), "bigbird_pegasus": ("large", "large")}.get(to, ("base", "base"))
    return f"{to}_{sizes[width > 768]}"


def dictionary_of(symbols: Sequence[str]) -> Dictionary:
    """fairseq's dictionary of these symbols, in the order of their ids."""
    dictionary = Dictionary()
    for symbol in symbols[len(SPECIAL) :]:
        dictionary.add_symbol(symbol)
    return dictionary


def model_arguments(arch: str, options: Mapping[str, Any], to: str) -> str:
    """What fairseq-train needs to build the model."""
    switches = ("no_window",)
    names = [FAIRSEQ[size] for size in SIZES]
    names += [name for name in DECODER_SIZES if options[name]]
    names += [name for name in TARGETS[to].options if name not in switches]
    arguments = ["--arch", arch, *(word for name in names for word in (flag(name), str(options[name])))]
    return " ".join(arguments + [flag(name) for name in switches if options.get(name)])

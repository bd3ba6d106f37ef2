"""A checkpoint of LED or BigBird-Pegasus as a folder of transformers' own classes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairseq_littlebird.checkpoints.dictionary import members
from fairseq_littlebird.checkpoints.tensors import find_checkpoint, load_tensors
from fairseq_littlebird.conversion.parameters import POSITIONS, TOKENS
from fairseq_littlebird.conversion.seq2seq.adapters import DECODER_POSITIONS, HUGGING_FACE
from fairseq_littlebird.conversion.seq2seq.states import extended
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.model_folder import model_folder, model_tokenizer
from fairseq_littlebird.errors import UserError, first_line
from fairseq_littlebird.export.fast_tokenizer import FastTokenizer, fast_tokenizer
from fairseq_littlebird.export.folder import check_export
from fairseq_littlebird.modules.config.windows import dilations_of_layers, windows_of_layers
from fairseq_littlebird.output import whole_folder
from fairseq_littlebird.text.tokenizers import UNKNOWN

FAMILIES = {"led": "LEDForConditionalGeneration", "bigbird_pegasus": "BigBirdPegasusForConditionalGeneration"}
"""Those of our encoder–decoders that transformers has, with its classes."""
OTHERS = ("bigbird_roberta", "littlebird_seq2seq")
NOT_THEIRS = ("decoder.embed_tokens.weight", "decoder.output_projection.weight", "decoder.version")
ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}
NAMES = (
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "README.md"),
    *("model.safetensors", "model.safetensors.index.json", "model-?????-of-?????.safetensors"),
)
"""Every name in the folder."""


@dataclass(frozen=True)
class ExportedSeq2Seq:
    """What an export is made of.

    Args:
        model: one of transformers' ``FAMILIES``, in evaluation mode.
        tokenizer: whose ids it takes.
        notes: what transformers does otherwise, a sentence each.
    """

    model: Any
    tokenizer: FastTokenizer
    notes: list[str] = field(default_factory=list)


def family_of(checkpoint: str | Path) -> str:
    """The name of a checkpoint's encoder–decoder, one of ``FAMILIES``; nothing for a model of another kind.

    Raises:
        UserError: an encoder–decoder that transformers has not.
    """
    path = find_checkpoint(checkpoint)
    cfg = load_tensors(path, mapped=True).get("cfg")
    model = cfg.get("model") if isinstance(cfg, dict) else None
    name = str(model.get("_name", "")) if isinstance(model, dict) else ""
    if name.startswith(OTHERS):
        raise UserError(
            f"a model of {name}, which transformers has no class for", str(path), f"export {' or '.join(FAMILIES)}"
        )
    return next((family for family in FAMILIES if name.startswith(family)), "")


def exported_seq2seq(checkpoint: str | Path, family: str, tokenizer: str | Path | None = None) -> ExportedSeq2Seq:
    """Reads a checkpoint, its dictionary and its tokenizer.

    Args:
        checkpoint: a checkpoint, or a folder with one.
        family: one of ``FAMILIES``.
        tokenizer: file or folder; None takes the checkpoint's, or what lies beside it.
    Raises:
        UserError: a damaged checkpoint, settings or a tokenizer that transformers has not, or it is missing.
    """
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            f"exporting needs transformers ({first_line(error)})", remedy="pip install fairseq_littlebird[export]"
        ) from error
    with model_folder(checkpoint, tokenizer) as (path, folder, _):
        content, where = load_tensors(path), str(path)
        options, weights = members(members(content, "cfg"), "model"), members(content, "model")
        if TOKENS not in weights or DECODER_POSITIONS not in weights:
            raise UserError("not a checkpoint of this plugin", where, "give one that fairseq-train saved")
        own = model_tokenizer(folder, tokenizer, where, "add --tokenizer FILE or FOLDER")
        symbols = load_dictionary(folder).symbols[: len(weights[TOKENS])]
        if len(symbols) < len(weights[TOKENS]):
            raise UserError(
                f"{len(weights[TOKENS])} tokens in the model, {len(symbols)} in its dict.txt",
                where,
                "give it its own dict.txt",
            )
        fast = fast_tokenizer(own, symbols)
    state = {key: value.float() for key, value in weights.items() if key not in NOT_THEIRS}
    unknown = symbols.index(UNKNOWN)
    ids = torch.tensor([unknown if number is None else number for number in fast.dictionary_ids])
    state[TOKENS] = state[TOKENS][ids]
    lacking = [n for n, number in enumerate(fast.dictionary_ids) if number is None]
    start = fast.ids[decoder_start(content)]
    config, notes = _config(transformers, family, options, state, fast, start, where)
    model = getattr(transformers, FAMILIES[family])(config).eval()
    try:
        model.load_state_dict(HUGGING_FACE[family].from_ours(state))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"the weights do not fit the model they came with ({reason})", where) from error
    model.generation_config.suppress_tokens = [fast.ids["<pad>"], *lacking]
    return ExportedSeq2Seq(model, fast, notes)


def decoder_start(content: Mapping[str, Any]) -> str:
    """The symbol that a checkpoint's decoder starts with: fairseq's </s> unless its task said another."""
    state, task = content.get("task_state"), members(members(content, "cfg"), "task")
    named = state.get("decoder_start") if isinstance(state, dict) else None
    return str(named or task.get("decoder_start") or "</s>")


def _config(
    transformers: Any,
    family: str,
    options: Mapping[str, Any],
    state: dict[str, Tensor],
    fast: FastTokenizer,
    start: int,
    where: str,
) -> tuple[Any, list[str]]:
    """transformers' configuration, and what it does otherwise; position tables are made of its lengths.

    Raises:
        UserError: a setting that the family has not there.
    """
    ids = {
        "pad_token_id": fast.ids["<pad>"],
        "bos_token_id": fast.ids["<s>"],
        "eos_token_id": fast.ids["</s>"],
        "decoder_start_token_id": start,
        "forced_eos_token_id": fast.ids["</s>"],
    }
    layers = options["encoder_layers"]
    sizes = {
        "vocab_size": len(state[TOKENS]),
        "d_model": options["encoder_embed_dim"],
        "encoder_layers": layers,
        "encoder_ffn_dim": options["encoder_ffn_embed_dim"],
        "encoder_attention_heads": options["encoder_attention_heads"],
        "decoder_layers": options["decoder_layers"] or layers,
        "decoder_ffn_dim": options["decoder_ffn_embed_dim"] or options["encoder_ffn_embed_dim"],
        "decoder_attention_heads": options["decoder_attention_heads"] or options["encoder_attention_heads"],
        "activation_function": ACTIVATIONS[str(options["activation"])],
        "dropout": options["dropout"],
        "attention_dropout": options["attention_dropout"],
        "activation_dropout": options["activation_dropout"],
        "architectures": [FAMILIES[family]],
    }
    if options["layer_norm_eps"] != 1e-5:
        raise UserError(f"--layer-norm-eps {options['layer_norm_eps']}: transformers has 1e-5 there", where)
    notes: list[str] = []
    if family == "led":
        windows = list(windows_of_layers(options["attention_window"], layers))
        heads = options["encoder_attention_heads"]
        dilations = dilations_of_layers(options["attention_dilation"], layers, heads)
        if any(dilation != 1 for of_layer in dilations for dilation in of_layer):
            raise UserError("--attention-dilation: transformers has no dilated windows", where, "train without it")
        if any(max(windows) % window for window in windows):
            raise UserError(
                f"attention windows {windows}: transformers needs such that divide the largest",
                where,
                "train with them",
            )
        more: dict[str, Any] = {
            "attention_window": windows,
            "max_encoder_position_embeddings": len(state[POSITIONS]),
            "max_decoder_position_embeddings": len(state[DECODER_POSITIONS]),
        }
        notes.append("Give `global_attention_mask` with 1 at the first token, as the model was trained.")
        return transformers.LEDConfig(**sizes, **ids, **more), notes
    longest = max(len(state[POSITIONS]), len(state[DECODER_POSITIONS]))
    for key in (POSITIONS, DECODER_POSITIONS):
        state[key] = extended(state[key], longest)
    if str(options.get("global_blocks", "first_last")) != "first_last":
        raise UserError("--global-blocks first_two, which transformers' BigBird lacks", where, "train with first_last")
    if str(options["random_attention"]) != "first_block":
        notes.append(
            "Trained with random blocks, in whose place transformers reads block 0 again outside training: its results "
            "differ from the checkpoint's."
        )
    more = {
        "max_position_embeddings": longest,
        "block_size": options["block_size"],
        "num_random_blocks": options["random_blocks"],
        "use_bias": False,
        "scale_embedding": True,
    }
    return transformers.BigBirdPegasusConfig(**sizes, **ids, **more), notes


def write_seq2seq(exported: ExportedSeq2Seq, folder: str | Path, overwrite: bool = False) -> None:
    """Writes the folder, which transformers loads without code of ours.

    Args:
        exported: what :func:`exported_seq2seq` made.
        folder: where to; may exist if it is empty.
        overwrite: replace what an earlier call wrote.
    Raises:
        UserError: the folder holds something, or with ``overwrite`` something else than an export.
    """
    folder = Path(folder)
    check_export(folder, NAMES, overwrite)
    with whole_folder(folder, NAMES, overwrite) as new:
        exported.model.save_pretrained(new)
        exported.tokenizer.save(new, token_types=False, special_in_text=False)
        (new / "README.md").write_text(_card(folder.resolve().name, exported), "utf-8")


def _card(name: str, exported: ExportedSeq2Seq) -> str:
    """Markdown with a YAML head."""
    head = "---\nlibrary_name: transformers\npipeline_tag: summarization\ntags:\n- long-context\n---\n"
    kind = type(exported.model).__name__
    lines = [
        f"{head}\n# {name}",
        f"Trained with fairseq_littlebird; `{kind}` of transformers.",
        *_sentences(exported.notes),
        "```python\nfrom transformers import AutoModelForSeq2SeqLM, AutoTokenizer\n\n"
        f"tokenizer = AutoTokenizer.from_pretrained({json.dumps(name)})\n"
        f"model = AutoModelForSeq2SeqLM.from_pretrained({json.dumps(name)})\n"
        'inputs = tokenizer("A long document.", return_tensors="pt")\n'
        f"{_global(kind)}"
        "print(tokenizer.decode(model.generate(**inputs, num_beams=4)[0], skip_special_tokens=True))\n```",
    ]
    return "\n\n".join(lines) + "\n"


def _sentences(notes: Sequence[str]) -> list[str]:
    return [" ".join(notes)] if notes else []


def _global(kind: str) -> str:
    if not kind.startswith("LED"):
        return ""
    return (
        'inputs["global_attention_mask"] = inputs.input_ids.new_zeros(inputs.input_ids.shape)\n'
        'inputs["global_attention_mask"][:, 0] = 1\n'
    )

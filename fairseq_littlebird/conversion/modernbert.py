"""ModernBERT of transformers (Warner et al., 2024), and what descends from it, such as mmBERT."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from reprlib import repr as short
from typing import Any

import torch
from torch import Tensor

from fairseq_littlebird.conversion.folding import join_projections
from fairseq_littlebird.conversion.hugging_face_adapter import ACTIVATIONS, HuggingFaceAdapter, whole_number
from fairseq_littlebird.conversion.key_map import KeyMap, State, linear, source_shapes
from fairseq_littlebird.conversion.parameters import QKV, TOKENS
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.config import FullAttentionConfig

FULL, LOCAL = "full_attention", "sliding_attention"
BIASES = {
    "attention_bias": (False, r"\.attention\.(qkv|out)\.bias"),
    "mlp_bias": (False, r"\.ffn\.fc[12]\.bias"),
    "norm_bias": (False, r"norm\.bias"),
    "classifier_bias": (False, r"lm_head\.dense\.bias"),
    "decoder_bias": (True, r"lm_head\.bias"),
}
"""Settings that say which biases there are, their defaults, and these biases under our names."""
OWN = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("hidden_activation", "max_position_embeddings", "initializer_range", "initializer_cutoff_factor"),
    *("norm_eps", "layer_norm_eps", "pad_token_id", "eos_token_id", "bos_token_id", "cls_token_id", "sep_token_id"),
    *("mask_token_id", "unk_token_id", "attention_dropout", "layer_types", "rope_parameters", "rope_scaling"),
    *("global_rope_theta", "local_rope_theta", "global_attn_every_n_layers", "local_attention"),
    *("embedding_dropout", "mlp_dropout", "classifier_pooling", "classifier_dropout", "classifier_activation"),
    *("deterministic_flash_attn", "sparse_prediction", "sparse_pred_ignore_index", "tie_word_embeddings"),
    *("reference_compile", "repad_logits_with_grad", "position_embedding_type", "gradient_checkpointing", *BIASES),
)
"""Settings of ModernBERT, in the releases 4 and 5 of transformers; those that change nothing here among them."""
GENERAL = (
    *("architectures", "model_type", "transformers_version", "torch_dtype", "dtype", "id2label", "label2id"),
    *("problem_type", "tokenizer_class", "auto_map", "use_cache", "output_attentions", "output_hidden_states"),
    *("return_dict", "torchscript", "use_bfloat16", "pruned_heads", "chunk_size_feed_forward", "is_decoder"),
    *("is_encoder_decoder", "cross_attention_hidden_size", "add_cross_attention", "tie_encoder_decoder", "prefix"),
    *("finetuning_task", "task_specific_params", "tf_legacy_loss", "num_labels"),
    *("attn_implementation", "decoder_start_token_id", "suppress_tokens", "begin_suppress_tokens"),
)
"""Settings that every configuration of transformers may have; what starts with an underscore, too."""


class ModernBERTAdapter(HuggingFaceAdapter):
    """Rotary positions, full and local attention in turn, norms before the sub-layers, gated feed-forward layers."""

    def settings(self, config: Mapping[str, Any], where: str) -> dict[str, Any]:
        unknown = sorted(name for name in config if name not in (*OWN, *GENERAL) and not name.startswith("_"))
        if unknown:
            raise UserError(
                f"settings of another ModernBERT than LittleBird starts from: {', '.join(unknown)}",
                where,
                "remove those that change nothing of what it computes",
            )
        activation = config.get("hidden_activation", "gelu")
        if config.get("classifier_activation", activation) != activation:
            raise UserError(
                f"classifier_activation is {short(config['classifier_activation'])}, hidden_activation "
                f"{short(activation)}",
                where,
                "this takes encoders with one activation",
            )
        for name, (default, _) in BIASES.items():
            if not isinstance(value := config.get(name, default), bool):
                raise UserError(f"{name} is {short(value)}, not true or false", where, "copy config.json again")
        own = {key: value for key, value in config.items() if key != "position_embedding_type"}  # it reads none
        return own | {"hidden_act": activation, "layer_norm_eps": config.get("norm_eps", 1e-5)}

    def sizes(self, config: Mapping[str, Any], where: str) -> dict[str, Any]:
        layers = whole_number(config, "num_hidden_layers", where)
        theta, local_theta = thetas(config, where)
        return {
            "normalize_before": True,
            "gated_feed_forward": True,
            "bias_free": not any(config.get(name, default) for name, (default, _) in BIASES.items() if not default),
            "positions": "rotary",
            "rope_theta": theta,
            "local_rope_theta": local_theta,
            "attention_window": windows(config, layers, where),
        }

    def complete(self, state: State, config: FullAttentionConfig, settings: Mapping[str, Any]) -> None:
        """Biases of 0, where the source has some biases and not others."""
        if "lm_head.dense.weight" in state and not settings.get("decoder_bias", True):
            state.setdefault("lm_head.bias", torch.zeros(config.vocab_size))
        if config.bias_free:
            return
        without = [pattern for name, (default, pattern) in BIASES.items() if not settings.get(name, default)]
        for key, shape in source_shapes(state, config, self.key_map).items():
            if key not in state and any(re.search(pattern, key) for pattern in without):
                state[key] = torch.zeros(shape)

    def options(self, config: Mapping[str, Any], layers: int, where: str) -> dict[str, Any]:
        sizes = self.sizes(config, where)
        return {name: sizes[name] for name in ("positions", "rope_theta", "local_rope_theta", "attention_window")}

    def from_ours(self, state: Mapping[str, Tensor]) -> State:
        joined = dict(state)
        join_projections(joined)
        return super().from_ours(joined)


def thetas(config: Mapping[str, Any], where: str) -> tuple[float, float]:
    """The bases of rotary positions in layers of full and of local attention, as either release writes them.

    Raises:
        UserError: rotary positions of another kind.
    """
    parameters = config.get("rope_parameters") or {}
    is_usual = isinstance(parameters, dict) and {*parameters} <= {FULL, LOCAL}
    if not is_usual or config.get("rope_scaling") is not None:
        name = "rope_parameters" if config.get("rope_scaling") is None else "rope_scaling"
        remedy = f"this takes rotary positions of {FULL} and {LOCAL}, without scaling"
        raise UserError(f"{name} is {short(config[name])}", where, remedy)
    bases: list[float] = []
    for kind, old, default in ((FULL, "global_rope_theta", 160_000.0), (LOCAL, "local_rope_theta", 10_000.0)):
        of_kind = parameters.get(kind) or {}
        if not isinstance(of_kind, dict) or of_kind.get("rope_type", "default") != "default":
            raise UserError(
                f"rotary positions of {kind} are {short(of_kind)}", where, "this takes those of rope_type 'default'"
            )
        theta = of_kind.get("rope_theta", config.get(old, default))
        theta = bases[0] if theta is None and bases else theta  # release 4 took the global one
        if not isinstance(theta, (int, float)) or isinstance(theta, bool) or not 0 < theta < math.inf:
            raise UserError(f"the base of rotary positions is {short(theta)}", where, "copy config.json again")
        bases.append(float(theta))
    return bases[0], bases[1]


def windows(config: Mapping[str, Any], layers: int, where: str) -> tuple[int, ...]:
    """The window of each layer, 0 for full attention."""
    width = whole_number({"local_attention": 128} | dict(config), "local_attention", where)
    if config.get("layer_types") is None:
        every = whole_number({"global_attn_every_n_layers": 3} | dict(config), "global_attn_every_n_layers", where)
        if every < 1:
            raise UserError(f"global_attn_every_n_layers is {every}", where, "copy config.json again")
        kinds = [LOCAL if layer % every else FULL for layer in range(layers)]
    else:
        kinds = config["layer_types"]
    if not isinstance(kinds, list) or len(kinds) != layers or not {*map(str, kinds)} <= {FULL, LOCAL}:
        raise UserError(f"layer_types is {short(kinds)}", where, f"give {FULL} or {LOCAL} for each of {layers} layers")
    if width < 2 and LOCAL in kinds:
        raise UserError(f"local_attention is {width}", where, "give a window of 2 tokens or more")
    return tuple(width // 2 * 2 if kind == LOCAL else 0 for kind in kinds)


ENCODER: KeyMap = {
    "embeddings.tok_embeddings.weight": TOKENS,
    **linear("embeddings.norm", "encoder.embeddings.norm"),
    **linear("layers.{n}.attn_norm", "encoder.layers.{n}.attention_norm"),
    **linear("layers.{n}.attn.Wqkv", f"encoder.layers.{{n}}.{QKV}"),
    **linear("layers.{n}.attn.Wo", "encoder.layers.{n}.attention.out"),
    **linear("layers.{n}.mlp_norm", "encoder.layers.{n}.ffn_norm"),
    **linear("layers.{n}.mlp.Wi", "encoder.layers.{n}.ffn.fc1"),
    **linear("layers.{n}.mlp.Wo", "encoder.layers.{n}.ffn.fc2"),
    **linear("final_norm", "encoder.final_norm"),
}
LM_HEAD_MAP: KeyMap = {
    **linear("head.dense", "lm_head.dense"),
    **linear("head.norm", "lm_head.norm"),
    "decoder.bias": "lm_head.bias",
    "decoder.weight": TOKENS,
}

MODERNBERT = ModernBERTAdapter(
    "Hugging Face modernbert",
    encoder=ENCODER,
    lm_head=LM_HEAD_MAP,
    prefix="model.",
    activations=tuple(ACTIVATIONS),
)

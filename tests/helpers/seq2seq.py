"""Random encoder–decoders of transformers, and ours with the same parameters."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
from torch import nn

from fairseq_littlebird.conversion.seq2seq.adapters import HUGGING_FACE
from fairseq_littlebird.conversion.seq2seq.states import without_attention_biases

VOCABULARY = 48
PAD, EOS = 1, 2
SIDES = {"encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 40, "decoder_layers": 3,
         "decoder_attention_heads": 4, "decoder_ffn_dim": 24, "d_model": 16}  # fmt: skip
IDS = {"vocab_size": VOCABULARY, "pad_token_id": PAD, "eos_token_id": EOS, "bos_token_id": 0,
       "decoder_start_token_id": EOS, "forced_eos_token_id": None}  # fmt: skip
LONG, SHORT = 200, 60
CONFIGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bart": ("BartForConditionalGeneration", "BartConfig", {"max_position_embeddings": SHORT}),
    "led": (
        "LEDForConditionalGeneration",
        "LEDConfig",
        {
            "max_encoder_position_embeddings": LONG,
            "max_decoder_position_embeddings": SHORT,
            "attention_window": [8, 16],
        },
    ),
    "pegasus": (
        "PegasusForConditionalGeneration",
        "PegasusConfig",
        {"max_position_embeddings": SHORT, "scale_embedding": True, "activation_function": "relu"},
    ),
    "bigbird_pegasus": (
        "BigBirdPegasusForConditionalGeneration",
        "BigBirdPegasusConfig",
        {"max_position_embeddings": LONG, "block_size": 4, "num_random_blocks": 2},
    ),
}


def randomise(model: nn.Module, seed: int = 0) -> None:
    """No parameter at its initial value, so that none can be forgotten unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:  # Pegasus' sinusoids
                continue
            noise = torch.randn(parameter.shape, generator=generator)
            norm = "norm" in name.lower() and name.endswith("weight")
            parameter.copy_(1 + 0.2 * noise if norm else 0.3 * noise)


def their_model(transformers: Any, kind: str, seed: int = 0) -> Any:
    """One of ``CONFIGS``, random, in evaluation mode."""
    name, configuration, more = CONFIGS[kind]
    config = getattr(transformers, configuration)(**SIDES, **IDS, **more)
    model = getattr(transformers, name)(config).eval()
    randomise(model, seed)
    if kind == "pegasus":  # the released ones' attention has no biases
        for key, parameter in model.named_parameters():
            if "attn" in key and "norm" not in key and key.endswith("bias"):
                nn.init.zeros_(parameter)
    return model


def our_model(theirs: Any, kind: str) -> Any:
    """The model here of the same parameters, whose ids are the same."""
    config = theirs.config
    state, _ = HUGGING_FACE[kind].to_ours(theirs.state_dict(), "")
    positions = state["encoder.embeddings.positions.weight"], state["decoder.embed_positions.weight"]
    options: dict[str, Any] = {
        "encoder_layers": config.encoder_layers,
        "encoder_embed_dim": config.d_model,
        "encoder_ffn_embed_dim": config.encoder_ffn_dim,
        "encoder_attention_heads": config.encoder_attention_heads,
        "decoder_layers": config.decoder_layers,
        "decoder_ffn_embed_dim": config.decoder_ffn_dim,
        "decoder_attention_heads": config.decoder_attention_heads,
        "max_positions": len(positions[0]),
        "decoder_max_positions": len(positions[1]),
        "layer_norm_eps": 1e-5,
        "activation": {"gelu": "gelu", "gelu_new": "gelu_tanh", "relu": "relu"}[config.activation_function],
        "dropout": 0.0,
    }
    if kind == "bart":  # full attention is a window that holds all
        options |= {"attention_window": str(2 * len(positions[0]))}
    if kind == "led":
        options |= {"attention_window": ",".join(map(str, config.attention_window))}
    if kind == "bigbird_pegasus":
        options |= {
            "block_size": config.block_size,
            "random_blocks": config.num_random_blocks,
            "random_attention": "first_block",
        }
    arch = "bigbird_pegasus_large" if "pegasus" in kind else "led_base"
    chosen = argparse.Namespace(**options)
    ARCH_CONFIG_REGISTRY[arch](chosen)
    kind_of_model = ARCH_MODEL_REGISTRY[arch]
    words = dictionary()
    task = SimpleNamespace(source_dictionary=words, target_dictionary=words)
    model = kind_of_model.build_model(vars(kind_of_model.config_class(**vars(chosen))), task).eval()
    if kind == "pegasus":  # see above
        state = without_attention_biases(state, "")
    missing, unexpected = nn.Module.load_state_dict(model, state, strict=False)
    assert not unexpected
    for name in missing:
        assert ".global_" in name or name in (
            "decoder.embed_tokens.weight",
            "decoder.output_projection.weight",
            "decoder.version",
        ), name
    return model


def dictionary(symbols: int = VOCABULARY) -> Dictionary:
    """fairseq's four special symbols and others, so many in all."""
    made = Dictionary()
    for n in range(symbols - len(made)):
        made.add_symbol(f"w{n}")
    return made

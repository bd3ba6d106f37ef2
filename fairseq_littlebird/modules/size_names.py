"""What each program calls an encoder's sizes and switches: the one table of these names."""

from __future__ import annotations

from typing import NamedTuple


class SizeName(NamedTuple):
    """Empty where a program has no such size."""

    config: str  # field of EncoderConfig, or of the family's own
    fairseq: str  # option of a fairseq model
    hugging_face: str  # key of config.json, and argument of a PretrainedConfig


SIZE_NAMES = (
    SizeName("vocab_size", "", "vocab_size"),
    SizeName("padding_idx", "", "pad_token_id"),
    SizeName("layers", "encoder_layers", "num_hidden_layers"),
    SizeName("embed_dim", "encoder_embed_dim", "hidden_size"),
    SizeName("ffn_embed_dim", "encoder_ffn_embed_dim", "intermediate_size"),
    SizeName("heads", "encoder_attention_heads", "num_attention_heads"),
    SizeName("word_embed_dim", "word_embed_dim", "embedding_size"),
    SizeName("max_positions", "max_positions", "max_position_embeddings"),
    SizeName("layer_norm_eps", "layer_norm_eps", "layer_norm_eps"),
    SizeName("activation", "activation", "hidden_act"),
    SizeName("context_type", "context_type", "token_types"),
    SizeName("dropout", "dropout", "hidden_dropout_prob"),
    SizeName("attention_dropout", "attention_dropout", "attention_probs_dropout_prob"),
    SizeName("activation_dropout", "activation_dropout", "activation_dropout"),
    SizeName("layerdrop", "encoder_layerdrop", ""),
    SizeName("checkpoint_activations", "checkpoint_activations", ""),
)
"""Of every encoder."""

FORM_NAMES = (
    SizeName("normalize_before", "encoder_normalize_before", "normalize_before"),
    SizeName("gated_feed_forward", "gated_feed_forward", "gated_feed_forward"),
    SizeName("bias_free", "bias_free", "bias_free"),
)
"""Of the encoders whose layers may have ModernBERT's form."""

FULL_ATTENTION_SIZE_NAMES = (
    *SIZE_NAMES,
    *FORM_NAMES,
    SizeName("positions", "positions", ""),
    SizeName("rope_theta", "rope_theta", ""),
    SizeName("local_rope_theta", "local_rope_theta", ""),
    SizeName("attention_window", "attention_window", ""),
)

LITTLEBIRD_SIZE_NAMES = (
    *SIZE_NAMES,
    *FORM_NAMES,
    SizeName("pack_size", "pack_size", "pack_size"),
    SizeName("block_size", "block_size", "block_size"),
    SizeName("positions", "positions", "positions"),
    SizeName("attention_backend", "attention_backend", "attention_backend"),
    SizeName("window", "", "window"),  # fairseq's option is its opposite, no_window
)

FORM = {name.config: name.fairseq for name in FORM_NAMES}
FAIRSEQ = {name.config: name.fairseq for name in SIZE_NAMES if name.fairseq}
HUGGING_FACE = {name.config: name.hugging_face for name in SIZE_NAMES if name.hugging_face}

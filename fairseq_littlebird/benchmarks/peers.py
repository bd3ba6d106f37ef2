"""Encoders to compare with, each built with random weights at given sizes. They need Hugging Face transformers.

Each is a module that takes tokens <int64>[B, L] and a padding mask <bool>[B, L] (True = padding) or None, and
returns its last hidden states <float>[B, L, C]; or, with the library's own masked-LM head, takes the masked
tokens <bool>[B, L] too and returns the logits of their vocabulary <float>[N, V].
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fairseq_littlebird.benchmarks.workload import PAD, Workload
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.size_names import HUGGING_FACE


class Peer(nn.Module):
    """A Hugging Face model behind the call that all of them share.

    Args:
        model: an encoder without a pooler, or one with a masked-LM head, which scores every token.
        first_global: whether token 0 has global attention, as Longformer wants it told.
    """

    def __init__(self, model: nn.Module, first_global: bool = False) -> None:
        super().__init__()
        self.model, self.first_global = model, first_global

    def forward(self, tokens: Tensor, padding_mask: Tensor | None, masked: Tensor | None = None) -> Tensor:
        more = {}
        if self.first_global:
            more["global_attention_mask"] = torch.zeros_like(tokens)
            more["global_attention_mask"][:, 0] = 1
        mask = None if padding_mask is None else (~padding_mask).long()
        outputs = self.model(input_ids=tokens, attention_mask=mask, **more)
        result: Tensor = outputs.last_hidden_state if masked is None else outputs.logits[masked]
        return result


def full(workload: Workload, masked_lm: bool = False) -> Peer:
    """RoBERTa: full attention through ``scaled_dot_product_attention``."""
    hf = transformers_library()
    config = hf.RobertaConfig(**_bert_like(workload), max_position_embeddings=workload.length + PAD + 1)
    config._attn_implementation = "sdpa"
    return Peer(_model("Roberta", config, masked_lm))


def bigbird(workload: Workload, masked_lm: bool = False, **changes: Any) -> Peer:
    """BigBird as shipped: blocks of 64, three random ones, GELU by its approximation in single operations.

    ``torch.compile`` leaves its sparse attention as it is, since that draws its random blocks with numpy.
    """
    hf = transformers_library()
    positions = max(4096, workload.length + 64)  # padded to whole blocks
    config = hf.BigBirdConfig(
        **_bert_like(workload), max_position_embeddings=positions, attention_type="block_sparse", **changes
    )
    peer = Peer(_model("BigBird", config, masked_lm))
    return _wrap_attention(peer, torch.compiler.disable) if workload.compiled else peer


def bigbird_fair(workload: Workload, masked_lm: bool = False, **changes: Any) -> Peer:
    """BigBird without the [B, H, L, L] map of its probabilities that is unused, and with exact GELU in one step."""
    peer = _wrap_attention(bigbird(workload, masked_lm, hidden_act="gelu", **changes), _without_map)
    return _wrap_attention(peer, torch.compiler.disable) if workload.compiled else peer


def longformer(workload: Workload, masked_lm: bool = False) -> Peer:
    """Longformer: windows of 512, token 0 global."""
    hf = transformers_library()
    config = hf.LongformerConfig(
        **_bert_like(workload), attention_window=512, max_position_embeddings=workload.length + 512 + PAD + 1
    )
    return Peer(_model("Longformer", config, masked_lm), first_global=True)


def modernbert(workload: Workload, masked_lm: bool = False) -> Peer:
    """ModernBERT through ``scaled_dot_product_attention``.

    Its feed-forward is gated, of three matrices: two thirds of the width give it as many weights as the others'.
    Every third layer from the first has full attention, the others windows of 128.
    """
    hf = transformers_library()
    sizes = workload.sizes
    config = hf.ModernBertConfig(
        vocab_size=workload.vocabulary,
        hidden_size=sizes.width,
        num_hidden_layers=workload.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.gated_ffn_width,
        max_position_embeddings=max(8192, workload.length),
        attention_dropout=workload.dropout,
        embedding_dropout=workload.dropout,
        mlp_dropout=workload.dropout,
        pad_token_id=PAD,
        bos_token_id=0,
        cls_token_id=0,
        eos_token_id=2,
        sep_token_id=2,
    )
    config._attn_implementation = "sdpa"
    return Peer(_model("ModernBert", config, masked_lm))


PEERS: dict[str, Callable[..., Peer]] = {
    "full": full,
    "bigbird": bigbird,
    "bigbird-fair": bigbird_fair,
    "longformer": longformer,
    "modernbert": modernbert,
}


def remark(encoder: nn.Module) -> str:
    """Remarks on an encoder's runs so far."""
    if any(getattr(module, "attention_type", "") == "original_full" for module in encoder.modules()):
        return "too short for sparse attention: ran as full attention"
    return ""


def _model(family: str, config: Any, masked_lm: bool) -> nn.Module:
    """The library's encoder of a family, or its masked language model.

    Raises:
        UserError: the library imports another one that cannot be loaded.
    """
    pooler = {} if masked_lm or family == "ModernBert" else {"add_pooling_layer": False}
    try:
        kind: type[nn.Module] = getattr(
            transformers_library(), f"{family}ForMaskedLM" if masked_lm else f"{family}Model"
        )
    except OSError as error:  # fairseq's torchaudio, where it is of another torch
        remedy = "uninstall it (of torchaudio: pip uninstall torchaudio), or leave out --peers"
        raise UserError(f"transformers needs a library that cannot be loaded: {error}", remedy=remedy) from error
    return kind(config, **pooler)


def _bert_like(workload: Workload) -> dict[str, Any]:
    """What the configurations of BERT's descendants have in common."""
    return {HUGGING_FACE[name]: value for name, value in workload.encoder_sizes().items()} | {
        "vocab_size": workload.vocabulary,
        "pad_token_id": PAD,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "sep_token_id": 2,
    }


class _MapsWithoutStorage(TorchFunctionMode):
    """Zeros of size [B, H, L, L] are made on the meta device, where what is written into them costs nothing."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.zeros and len(args) == 4 and args[2] == args[3]:
            kwargs = {**kwargs, "device": "meta"}
        return function(*args, **kwargs)


def _wrap_attention(peer: Peer, wrapper: Callable[..., Any]) -> Peer:
    """Puts something around every sparse attention of a BigBird."""
    attention: Any
    for attention in peer.modules():
        if hasattr(attention, "bigbird_block_sparse_attention"):
            attention.bigbird_block_sparse_attention = wrapper(attention.bigbird_block_sparse_attention)
    return peer


def _without_map(attend: Callable[..., Any]) -> Callable[..., Any]:
    """A sparse attention whose second result, the map, has no storage."""

    @functools.wraps(attend)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with _MapsWithoutStorage():
            return attend(*args, **kwargs)

    return wrapped


def transformers_library() -> Any:
    """The library, silent.

    Raises:
        UserError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            "peers need transformers", remedy="pip install 'transformers>=5', or leave out --peers"
        ) from error
    transformers.logging.set_verbosity_error()
    return transformers

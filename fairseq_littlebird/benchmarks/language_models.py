"""Language models to compare, with random weights: this package's, fairseq's, and one with full attention.

Legend: B sequences, L tokens, T tokens to write, H heads, D head width.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from fairseq.models import MODEL_REGISTRY
from fairseq.models.transformer_lm import TransformerLanguageModelConfig
from torch import Tensor

from fairseq_littlebird.attention.common.blocks import extend
from fairseq_littlebird.benchmarks.language_model_floor import ATTENTIONS, Run, floor
from fairseq_littlebird.benchmarks.language_model_workload import PARTS, LanguageModelling
from fairseq_littlebird.benchmarks.timing import FLOOR
from fairseq_littlebird.modules.attention.causal_window import CausalWindowAttention, CausalWindowContext
from fairseq_littlebird.modules.causal_decoder import DecodingState
from fairseq_littlebird.modules.encoder_layer import EncoderLayer

CHUNK_SIZE = 512  # tokens of a beginning that are read at a time


class GrowingKeys:
    """Keys and values of all tokens so far, in place of a ring of those in reach.

    Args:
        heads, head_width: H and D.
    """

    def __init__(self, heads: int, head_width: int) -> None:
        self.count, self.heads, self.head_width = 0, heads, head_width
        self.k = self.v = torch.empty(0)

    def fill(self, count: int, of: LanguageModelling) -> None:
        """As if so many tokens had been read."""
        shape = (of.batch, self.heads, count, self.head_width)
        self.k, self.v = (torch.randn(shape, device=of.device) for _ in range(2))
        self.count = count

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attention of one new token <float>[B, H, 1, D] to itself and all before it."""
        if self.count == self.k.shape[2]:
            self.k, self.v = (extend(x, 0, max(16, self.count // 8), dim=2) for x in (self.k, self.v))
        self.k[:, :, self.count], self.v[:, :, self.count] = k[:, :, 0], v[:, :, 0]
        self.count += 1
        return F.scaled_dot_product_attention(q, self.k[:, :, : self.count], self.v[:, :, : self.count])

    def reorder(self, order: Tensor) -> None:
        """Goes on with the sequences <int64>[N']."""
        self.k, self.v = self.k.index_select(0, order), self.v.index_select(0, order)


class FullCausalAttention(CausalWindowAttention):
    """Every token sees itself and all before it, through torch's fused attention; without positions."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, context: CausalWindowContext) -> Tensor:
        if context.buffers is not None:
            return context.buffers[self.layer].attend(q, k, v)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    def buffer(self) -> Any:
        return GrowingKeys(self.heads, self.q.out_features // self.heads)


class Model(Protocol):
    """A fairseq language model."""

    decoder: Any

    def __call__(self, tokens: Tensor) -> tuple[Tensor, Any]: ...


def longformer_lm(of: LanguageModelling) -> Any:
    """``--arch longformer_lm`` of these sizes, with ALiBi."""
    kind = MODEL_REGISTRY["longformer_lm"]
    options = {"attention_window": of.windows, "attention_dilation": of.dilations}
    return kind.build_model(vars(kind.config_class(**of.sizes(), **options)), of.task())


def littlebird_lm(of: LanguageModelling) -> Any:
    """``--arch littlebird_lm`` of these sizes, with its own block size."""
    kind = MODEL_REGISTRY["littlebird_lm"]
    return kind.build_model(vars(kind.config_class(**of.sizes())), of.task())


def full_causal(of: LanguageModelling) -> Any:
    """``longformer_lm`` with full attention in every layer."""
    model = longformer_lm(of)
    transformer = model.decoder.transformer
    layers = [module for module in transformer.modules() if isinstance(module, EncoderLayer)]
    for number, layer in enumerate(layers):
        layer.attention = FullCausalAttention(transformer.config, number)
    return model


def transformer_lm(of: LanguageModelling) -> Any:
    """fairseq's ``--arch transformer_lm`` of these sizes: norms before the sub-layers, GELU, shared embeddings."""
    config = TransformerLanguageModelConfig(
        **of.sizes(),
        decoder_input_dim=of.width,
        decoder_output_dim=of.width,
        activation_fn="gelu",
        decoder_normalize_before=True,
        share_decoder_input_output_embed=True,
        add_bos_token=False,
        tokens_per_sample=of.length,
        max_target_positions=of.length,
        tpu=False,
    )
    return MODEL_REGISTRY["transformer_lm"].build_model(config, of.task())


OURS = "longformer_lm"
MODELS: dict[str, Callable[[LanguageModelling], Any]] = {
    OURS: longformer_lm,
    "transformer_lm": transformer_lm,
    "full-sdpa": full_causal,
    "littlebird_lm": littlebird_lm,
    FLOOR: floor,
}
COMPARED = (OURS, "transformer_lm", "full-sdpa")


def build(name: str, of: LanguageModelling) -> Any:
    """A model of ``MODELS``, or of ``ATTENTIONS``, with random weights, and gradients where it is trained."""
    torch.manual_seed(0)
    make = MODELS[name] if of.part == PARTS[0] else ATTENTIONS[name]
    model = make(of).to(of.device).train(of.backward)
    if model.training:
        for parameter in model.parameters():
            parameter.grad = torch.empty_like(parameter).zero_()  # empty, then zero: its pages are touched
    return model


def ready(model: Any, of: LanguageModelling) -> Callable[[], object]:
    """One pass of a model, or T tokens that it writes, ready to run; gradients add up."""
    if isinstance(model, Run):
        return model.once
    if of.mode == "generation":
        return Generating(model, of).write
    return partial(_forward if of.mode == "forward" else _backward, model, of.text())


@torch.no_grad()
def _forward(model: Model, tokens: Tensor) -> Tensor:
    """Logits <float>[B, L, V]."""
    return model(tokens)[0]


def _backward(model: Model, tokens: Tensor) -> None:
    """Cross-entropy of the next token, and its gradients."""
    logits = model(tokens)[0]
    F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).backward()


class Generating:
    """Writes token after token, greedily, through fairseq's incremental decoding.

    The text before it has been read in chunks, so that memory is that of generation. fairseq's own model and full
    attention get random keys in its place: the first reads one token at a time, and their time does not depend on them.

    Args:
        model: a fairseq language model.
        of: with the length of the text before.
    """

    @torch.no_grad()
    def __init__(self, model: Any, of: LanguageModelling) -> None:
        self.decoder, self.of = model.decoder, of
        self.tokens, self.state = of.text(), dict[str, Any]()
        if hasattr(self.decoder, "transformer"):
            state: DecodingState[Any] = self.decoder.decoding_state(self.state)
            self._read(state)
        else:
            shape = (of.batch, of.heads, of.length - 1, of.width // of.heads)
            for layer in self.decoder.layers:
                keys = {f"prev_{kind}": torch.randn(shape, device=of.device) for kind in ("key", "value")}
                layer.self_attn._set_input_buffer(self.state, keys | {"prev_key_padding_mask": None})

    def _read(self, state: DecodingState[Any]) -> None:
        """All tokens but the last."""
        read: Any = state.buffers
        for buffer in read:
            if isinstance(buffer, GrowingKeys):
                buffer.fill(self.of.length - 1, self.of)
        for chunk in self.tokens[:, state.count : -1].split(CHUNK_SIZE, dim=1):
            if chunk.shape[1]:
                self.decoder.transformer.extend(chunk, state)

    @torch.no_grad()
    def write(self) -> Tensor:
        """<int64>[B, L + T]; the next call goes on."""
        for _ in range(self.of.tokens):
            logits = self.decoder(self.tokens, incremental_state=self.state)[0]
            self.tokens = torch.cat([self.tokens, logits[:, -1:].argmax(-1)], dim=1)
        return self.tokens

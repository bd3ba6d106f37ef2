"""LED and BigBird-Pegasus of transformers, and ours with the same weights, for benchmarks of generation.

Legend: B documents, L tokens of each, T tokens to write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models import MODEL_REGISTRY
from fairseq.sequence_generator import SequenceGenerator
from torch import Tensor, nn

from fairseq_littlebird.benchmarks.peers import transformers_library
from fairseq_littlebird.benchmarks.workload import PAD, Sizes
from fairseq_littlebird.conversion.seq2seq.adapters import HUGGING_FACE

BOS, EOS = 0, 2
FAMILIES = ("led", "bigbird_pegasus")
CLASSES = {"led": "LED", "bigbird_pegasus": "BigBirdPegasus"}
WINDOW = 1024  # LED's, tokens


@dataclass(frozen=True)
class Generation:
    """What is written of what.

    Args:
        family: one of ``FAMILIES``.
        sizes: of the layers on both sides.
        layers: of each side.
        vocabulary: tokens.
        length, batch: L and B.
        beam: hypotheses of each document.
        tokens: T, written of every document, </s> the last.
        threads: of the CPU.
        device: a torch device.
    """

    family: str
    sizes: Sizes
    layers: int
    vocabulary: int
    length: int
    batch: int
    beam: int
    tokens: int
    threads: int = 1
    device: str = "cpu"

    def documents(self) -> Tensor:
        """<int64>[B, L], the same in every call."""
        generator = torch.Generator().manual_seed(0)
        tokens = torch.randint(4, self.vocabulary, (self.batch, self.length), generator=generator)
        tokens[:, 0] = BOS
        return tokens.to(self.device)


def their_model(of: Generation) -> nn.Module:
    """transformers', random, in evaluation mode."""
    library, sizes = transformers_library(), of.sizes
    common = {
        "vocab_size": of.vocabulary,
        "d_model": sizes.width,
        **{f"{side}_layers": of.layers for side in ("encoder", "decoder")},
        **{f"{side}_ffn_dim": sizes.ffn_width for side in ("encoder", "decoder")},
        **{f"{side}_attention_heads": sizes.heads for side in ("encoder", "decoder")},
        **{"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, "decoder_start_token_id": EOS},
        "forced_eos_token_id": None,
    }
    positions = -(-of.length // WINDOW) * WINDOW
    more: dict[str, Any] = {"max_position_embeddings": positions, "block_size": sizes.block_size}
    if of.family == "led":
        more = {
            "max_encoder_position_embeddings": positions,
            "max_decoder_position_embeddings": max(1024, of.tokens),
            "attention_window": WINDOW,
        }
    config = getattr(library, f"{CLASSES[of.family]}Config")(**common, **more)
    model: nn.Module = getattr(library, f"{CLASSES[of.family]}ForConditionalGeneration")(config)
    return model.eval().to(of.device)


def our_model(of: Generation, theirs: nn.Module) -> Any:
    """Ours of the same weights, in evaluation mode."""
    state, _ = HUGGING_FACE[of.family].to_ours(theirs.state_dict(), "")
    positions = {
        "max_positions": len(state["encoder.embeddings.positions.weight"]),
        "decoder_max_positions": len(state["decoder.embed_positions.weight"]),
    }
    options: dict[str, Any] = {
        "encoder_layers": of.layers,
        "encoder_embed_dim": of.sizes.width,
        "encoder_ffn_embed_dim": of.sizes.ffn_width,
        "encoder_attention_heads": of.sizes.heads,
        "layer_norm_eps": 1e-5,
    }
    options |= {"attention_window": str(WINDOW)} if of.family == "led" else {}
    if of.family == "bigbird_pegasus":
        options |= {"block_size": of.sizes.block_size, "random_attention": "first_block"}
    symbols = dictionary(of)
    kind = MODEL_REGISTRY[of.family]
    config = kind.config_class(**options, **positions)
    task = SimpleNamespace(source_dictionary=symbols, target_dictionary=symbols)
    model = kind.build_model(vars(config), task)
    nn.Module.load_state_dict(model, state, strict=False)
    return model.eval().to(of.device)


def dictionary(of: Generation) -> Dictionary:
    """fairseq's, of so many tokens."""
    made = Dictionary()
    for n in range(of.vocabulary - len(made)):
        made.add_symbol(f"w{n}")
    return made


@dataclass(frozen=True)
class Runs:
    """The two parts of a generation, each ready to run alone.

    Args:
        encode: reads the documents.
        decode: writes T tokens of each, of what its first call has read.
        whole: both.
    """

    encode: Callable[[], Any]
    decode: Callable[[], Tensor]
    whole: Callable[[], Tensor]


def our_runs(of: Generation, model: Any) -> Runs:
    """By fairseq's ``SequenceGenerator``, which ``fairseq-generate`` runs; its results are <int64>[B, T]."""
    source = of.documents()
    net_input = {"src_tokens": source, "src_lengths": source.ne(PAD).sum(1)}
    limits = {"max_len_b": of.tokens - 1, "min_len": of.tokens - 1}
    generators = [SequenceGenerator([model], dictionary(of), beam_size=of.beam, **limits) for _ in range(2)]
    forward_encoder = cache(torch.no_grad()(lambda: generators[1].model.forward_encoder(net_input)))
    generators[0].model.forward_encoder = lambda _: forward_encoder()

    def generated(generator: SequenceGenerator) -> Tensor:
        return torch.stack([best[0]["tokens"] for best in generator.generate([model], {"net_input": net_input})])

    @torch.no_grad()
    def encode() -> Any:
        return model.encoder(source)

    return Runs(encode, lambda: generated(generators[0]), lambda: generated(generators[1]))


def their_runs(of: Generation, model: Any) -> Runs:
    """By transformers' ``generate``; its results are <int64>[B, T]."""
    source = of.documents()
    inputs = {"attention_mask": torch.ones_like(source)}
    if of.family == "led":
        first = torch.zeros_like(source)
        first[:, 0] = 1
        inputs["global_attention_mask"] = first
    limits = {"max_new_tokens": of.tokens, "min_new_tokens": of.tokens, "num_beams": of.beam, "do_sample": False}
    limits |= {"early_stopping": True} if of.beam > 1 else {}

    @torch.no_grad()
    def encode() -> Any:
        return model.get_encoder()(input_ids=source, **inputs)

    read = cache(encode)

    def decode() -> Tensor:
        again = type(read())(**dict(read().items()))  # generate puts beams in place of documents
        return model.generate(encoder_outputs=again, **inputs, **limits)[:, 1:]  # type: ignore[no-any-return]

    def whole() -> Tensor:
        return model.generate(input_ids=source, **inputs, **limits)[:, 1:]  # type: ignore[no-any-return]

    return Runs(encode, decode, whole)

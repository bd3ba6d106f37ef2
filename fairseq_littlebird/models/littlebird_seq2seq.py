"""A Transformer decoder over the LittleBird encoder."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.dataclass import ChoiceEnum
from fairseq.models import register_model
from torch import Tensor

from fairseq_littlebird.models.architectures import TINY, architecture
from fairseq_littlebird.models.littlebird import LittleBirdModel, LittleBirdOptions
from fairseq_littlebird.models.seq2seq_config import Seq2SeqModelConfig, transformer_config
from fairseq_littlebird.models.seq2seq_decoder import DecoderPositions, Seq2SeqDecoder
from fairseq_littlebird.models.seq2seq_encoder import EncoderOut, Seq2SeqEncoder
from fairseq_littlebird.models.seq2seq_model import Seq2SeqModel
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder
from fairseq_littlebird.modules.sinusoids import sinusoids

CROSS_POSITIONS = ("sinusoidal", "none")


@dataclass
class LittleBirdSeq2SeqModelConfig(LittleBirdOptions, Seq2SeqModelConfig):
    cross_positions: ChoiceEnum(CROSS_POSITIONS) = field(  # type: ignore[valid-type]
        default="sinusoidal",
        metadata={
            "help": "positions that cross-attention adds to its keys, as the encoder's states have none of their own"
        },
    )


class LittleBirdSeq2SeqEncoder(Seq2SeqEncoder, LittleBirdEncoder):  # type: ignore[misc]  # the forwards
    """LittleBird's."""


class LittleBirdDecoder(Seq2SeqDecoder):
    """Cross-attention finds its place by sinusoids of the source's position ids, where there are such.

    Args:
        cross_positions: one of ``CROSS_POSITIONS``.
        others: see :class:`Seq2SeqDecoder`.
    """

    def __init__(self, *others: Any, cross_positions: str = "none", **options: Any) -> None:
        super().__init__(*others, **options)
        self.cross_positions = cross_positions

    def key_positions(self, encoder_out: EncoderOut) -> Tensor | None:
        """<float>[B, L, C], or [1, L, C] for position ids 0 … L-1."""
        if self.cross_positions == "none":
            return None
        states = encoder_out["encoder_out"][0]
        L, _, C = states.shape
        positions = encoder_out.get("positions") or [torch.arange(L, device=states.device)[None]]
        return sinusoids(positions[0], C).to(states)


@register_model("littlebird_seq2seq", dataclass=LittleBirdSeq2SeqModelConfig)
class LittleBirdSeq2SeqModel(Seq2SeqModel):
    """A LittleBird encoder under a Transformer decoder."""

    title = "LittleBird encoder–decoder"
    config_class = LittleBirdSeq2SeqModelConfig
    supports_padding_insertion = True

    @classmethod
    def build_encoder(cls, cfg: LittleBirdSeq2SeqModelConfig, dictionary: Dictionary) -> LittleBirdSeq2SeqEncoder:
        config = LittleBirdModel.encoder_config(cfg, len(dictionary), dictionary.pad())
        encoder = LittleBirdSeq2SeqEncoder(config, dictionary)
        LittleBirdModel.mark_slopes(encoder)
        return encoder

    @classmethod
    def build_decoder(
        cls, cfg: LittleBirdSeq2SeqModelConfig, dictionary: Dictionary, encoder: LittleBirdSeq2SeqEncoder
    ) -> LittleBirdDecoder:
        return LittleBirdDecoder(
            transformer_config(cfg, layernorm_embedding=True),
            dictionary,
            encoder.embeddings.tokens,
            DecoderPositions(cfg.decoder_max_positions, cfg.encoder_embed_dim),
            layer_norm_eps=cfg.layer_norm_eps,
            checkpoint_activations=cfg.checkpoint_activations,
            cross_positions=str(cfg.cross_positions),
        )


architecture("littlebird_seq2seq", "littlebird_seq2seq_base")
architecture(
    "littlebird_seq2seq", "littlebird_seq2seq_tiny", **TINY | {"encoder_layers": 2}, pack_size=32, block_size=32
)

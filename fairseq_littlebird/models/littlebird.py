"""LittleBird as a fairseq model."""

# no postponed annotations: fairseq reads the types of the fields
import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.models import register_model
from torch import Tensor, nn

from fairseq_littlebird.attention.littlebird import BACKENDS, BackendError, backend_fault
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.architectures import LARGE, TINY, EncoderModelConfig, architecture
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.models.form_options import MODERNBERT, MODERNBERT_SIZES, FormOptions
from fairseq_littlebird.modules.config import POSITIONS, LittleBirdConfig
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder
from fairseq_littlebird.modules.token_annotations import TokenAnnotations

logger = logging.getLogger(__name__)
BACKEND_REMEDY = "choose another --attention-backend, or auto"


@dataclass
class LittleBirdOptions(FairseqDataclass):
    """Of every model with a LittleBird encoder."""

    pack_size: int = field(default=64, metadata={"help": "number of pack vectors S; 0: no pack attention"})
    block_size: int = field(default=64, metadata={"help": "block size b in tokens"})
    positions: ChoiceEnum(POSITIONS) = field(  # type: ignore[valid-type]
        default="bialibi", metadata={"help": "position representation; learned and none are ablations"}
    )
    no_window: bool = field(
        default=False, metadata={"help": "ablation: attend to the pack vectors only, without a window"}
    )
    attention_backend: ChoiceEnum(BACKENDS) = field(  # type: ignore[valid-type]
        default="auto",
        metadata={"help": "auto: blockwise on a CPU, elsewhere triton, or unfolded; dense is the quadratic reference"},
    )


@dataclass
class LittleBirdModelConfig(LittleBirdOptions, FormOptions, EncoderModelConfig):
    """The options of LittleBird."""


@register_model("littlebird", dataclass=LittleBirdModelConfig)
class LittleBirdModel(EncoderModel):
    """A LittleBird encoder under the heads."""

    title = "LittleBird"
    config_class = LittleBirdModelConfig
    supports_padding_insertion = True

    @classmethod
    def build_encoder(cls, cfg: LittleBirdModelConfig, vocab_size: int, padding_idx: int) -> LittleBirdEncoder:
        encoder = LittleBirdEncoder(cls.encoder_config(cfg, vocab_size, padding_idx))
        cls.mark_slopes(encoder)
        return encoder

    @staticmethod
    def encoder_config(cfg: Any, vocab_size: int, padding_idx: int) -> LittleBirdConfig:
        """The encoder's sizes and switches in the options of a model that has one."""
        return LittleBirdConfig(
            vocab_size,
            padding_idx,
            pack_size=cfg.pack_size,
            block_size=cfg.block_size,
            positions=str(cfg.positions),
            window=not cfg.no_window,
            attention_backend=str(cfg.attention_backend),
            **cfg.sizes(),
            **(cfg.form() if isinstance(cfg, FormOptions) else {}),
        )

    @staticmethod
    def mark_slopes(encoder: nn.Module) -> None:
        """The slopes of BiALiBi as a parameter group of their own, with the learning rate of ``littlebird_adam``."""
        for name, parameter in encoder.named_parameters():
            if ".slopes." in name:
                parameter.param_group = "slopes"  # type: ignore[attr-defined]

    def check_training(self, device: torch.device, dtype: torch.dtype) -> None:
        """Raises UserError where the backend cannot train there, as :meth:`encode` would at the first batch."""
        cfg = self.cfg
        if cfg.no_window:
            return
        head_width = cfg.encoder_embed_dim // cfg.encoder_attention_heads
        kind = str(cfg.attention_backend), head_width, cfg.block_size, cfg.attention_dropout, device, dtype
        if str(cfg.attention_backend) != "auto" and (fault := backend_fault(*kind, gradients=True)):
            raise UserError(fault, "model options", BACKEND_REMEDY)

    def encode(
        self,
        tokens: Tensor,
        positions: Tensor | None,
        states: list[Tensor] | None,
        internals: list[Any] | None,
        annotations: TokenAnnotations,
        global_states: list[Tensor] | None = None,
    ) -> Tensor:
        """As :meth:`EncoderModel.encode`.

        A trained model may be used where its backend is not to be had: it then computes the same with ``auto``.

        Raises:
            UserError: training with a backend that cannot serve this device, precision, block size or dropout.
        """
        try:
            return super().encode(tokens, positions, states, internals, annotations, global_states)
        except BackendError as error:
            if self.training:
                raise UserError(str(error), "model options", BACKEND_REMEDY) from error
            logger.warning("%s: it computes with 'auto'", error)
        self.encoder.set_backend("auto")  # type: ignore[operator]
        return super().encode(tokens, positions, states, internals, annotations, global_states)


architecture("littlebird", "littlebird_base")
architecture("littlebird", "littlebird_large", **LARGE)
architecture("littlebird", "littlebird_tiny", **TINY, pack_size=32, block_size=32)
for size, sizes in MODERNBERT_SIZES.items():
    own = {"pack_size": 32, "block_size": 32} if size == "tiny" else {}
    architecture("littlebird", f"littlebird_modernbert_{size}", **sizes, **MODERNBERT, **own)

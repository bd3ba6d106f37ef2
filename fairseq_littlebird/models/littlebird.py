"""LittleBird as a fairseq model."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field

import torch
from fairseq.dataclass import ChoiceEnum
from fairseq.models import register_model

from fairseq_littlebird.attention import BACKENDS, backend_fault
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.encoder_model import LARGE, TINY, EncoderModel, EncoderModelConfig, architecture
from fairseq_littlebird.modules.config import POSITIONS, LittleBirdConfig
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder


@dataclass
class LittleBirdModelConfig(EncoderModelConfig):
    pack_size: int = field(default=64, metadata={"help": "packed rows S; 0 leaves out the pack stream"})
    block_size: int = field(default=64, metadata={"help": "tokens a block b"})
    positions: ChoiceEnum(POSITIONS) = field(  # type: ignore[valid-type]
        default="bialibi", metadata={"help": "learned and none are ablations"}
    )
    no_window: bool = field(
        default=False, metadata={"help": "ablation: attend to the packed rows alone, without a window"}
    )
    attention_backend: ChoiceEnum(BACKENDS) = field(  # type: ignore[valid-type]
        default="auto",
        metadata={"help": "auto: blockwise on a CPU, elsewhere triton, or unfolded; dense is the quadratic reference"},
    )


@register_model("littlebird", dataclass=LittleBirdModelConfig)
class LittleBirdModel(EncoderModel):
    """A LittleBird encoder under the heads."""

    title = "LittleBird"
    config_class = LittleBirdModelConfig
    takes_gaps = True

    @classmethod
    def build_encoder(cls, cfg: LittleBirdModelConfig, vocab_size: int, padding_idx: int) -> LittleBirdEncoder:
        encoder = LittleBirdEncoder(
            LittleBirdConfig(
                vocab_size,
                padding_idx,
                pack_size=cfg.pack_size,
                block_size=cfg.block_size,
                positions=str(cfg.positions),
                window=not cfg.no_window,
                attention_backend=str(cfg.attention_backend),
                **cfg.sizes(),
            )
        )
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        width, backend = cfg.encoder_embed_dim // cfg.encoder_attention_heads, str(cfg.attention_backend)
        fault = backend_fault(backend, width, cfg.block_size, 0.0, device, torch.float32)
        if fault is not None and not cfg.no_window:
            raise UserError(fault, "model options", "choose another --attention-backend, or auto")
        for name, parameter in encoder.named_parameters():
            if ".slopes." in name:
                # littlebird_adam gives them a learning rate of their own
                parameter.param_group = "slopes"  # type: ignore[attr-defined]
        return encoder


architecture("littlebird", "littlebird_base")
architecture("littlebird", "littlebird_large", **LARGE)
architecture("littlebird", "littlebird_tiny", **TINY, pack_size=32, block_size=32)

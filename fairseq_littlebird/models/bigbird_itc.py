"""BigBird-ITC as a fairseq model (Zaheer et al., 2020)."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.models import register_model

from fairseq_littlebird.attention.bigbird import GLOBAL_BLOCKS, RANDOM_ATTENTION
from fairseq_littlebird.models.architectures import LARGE, TINY, EncoderModelConfig, architecture
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.modules.bigbird_encoder import BigBirdEncoder
from fairseq_littlebird.modules.config import BigBirdConfig


@dataclass
class BigBirdOptions(FairseqDataclass):
    """Of every model with a BigBird-ITC encoder."""

    block_size: int = field(default=64, metadata={"help": "block size b in tokens"})
    random_blocks: int = field(default=3, metadata={"help": "random blocks per query block"})
    random_attention: ChoiceEnum(RANDOM_ATTENTION) = field(  # type: ignore[valid-type]
        default="seeded",
        metadata={
            "help": "seeded: fixed random blocks drawn from --random-seed; first_block: as transformers "
            "computes outside training"
        },
    )
    global_blocks: ChoiceEnum(GLOBAL_BLOCKS) = field(  # type: ignore[valid-type]
        default="first_last",
        metadata={
            "help": "blocks that see, and are seen by, every token: first_last, as in the released code; first_two, as "
            "in the paper's question answering (its first 128 tokens)"
        },
    )
    random_seed: int = field(default=0, metadata={"help": "seed of the random blocks"})


@dataclass
class BigBirdModelConfig(BigBirdOptions, EncoderModelConfig):
    """The options of BigBird-ITC."""


@register_model("bigbird_itc", dataclass=BigBirdModelConfig)
class BigBirdModel(EncoderModel):
    """A BigBird-ITC encoder under the heads; its positions are absolute, so gaps in them mean nothing to it."""

    title = "BigBird-ITC"
    config_class = BigBirdModelConfig

    @classmethod
    def build_encoder(cls, cfg: BigBirdModelConfig, vocab_size: int, padding_idx: int) -> BigBirdEncoder:
        return BigBirdEncoder(
            BigBirdConfig(
                vocab_size,
                padding_idx,
                block_size=cfg.block_size,
                random_blocks=cfg.random_blocks,
                random_attention=str(cfg.random_attention),
                seed=cfg.random_seed,
                global_blocks=str(cfg.global_blocks),
                **cfg.sizes(),
            )
        )


# of the released checkpoints
RELEASED = {"max_positions": 4096, "layer_norm_eps": 1e-12, "activation": "gelu_tanh"}
architecture("bigbird_itc", "bigbird_itc_base", **RELEASED)
architecture("bigbird_itc", "bigbird_itc_large", **LARGE, **RELEASED)
architecture("bigbird_itc", "bigbird_itc_tiny", **TINY, **RELEASED, block_size=32)

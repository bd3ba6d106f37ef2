"""The options that all encoder models have, and the sizes that their architectures name."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.models import register_model_architecture

from fairseq_littlebird.modules.config import ACTIVATIONS
from fairseq_littlebird.modules.size_names import FAIRSEQ


@dataclass
class EncoderModelConfig(FairseqDataclass):
    """The base size of table 10; the other sizes are named architectures, and YAML files under configs/."""

    encoder_layers: int = field(default=12, metadata={"help": "number of layers"})
    encoder_embed_dim: int = field(default=768, metadata={"help": "hidden size"})
    encoder_ffn_embed_dim: int = field(default=3072, metadata={"help": "size of the feed-forward layer"})
    encoder_attention_heads: int = field(default=12, metadata={"help": "number of attention heads"})
    word_embed_dim: int = field(
        default=0, metadata={"help": "size of the token embeddings if it differs (ELECTRA); 0: the hidden size"}
    )
    layer_norm_eps: float = field(default=1e-5, metadata={"help": "epsilon of layer normalisation"})
    activation: ChoiceEnum(ACTIVATIONS) = field(  # type: ignore[valid-type]
        default="gelu", metadata={"help": "activation of the feed-forward layers; gelu_tanh is BigBird's approximation"}
    )
    context_type: bool = field(
        default=False, metadata={"help": "add an embedding to the context, as BERT's token types do"}
    )
    dropout: float = field(default=0.1, metadata={"help": "dropout of each sub-layer's output"})
    attention_dropout: float = field(default=0.1, metadata={"help": "dropout of attention probabilities"})
    activation_dropout: float = field(default=0.0, metadata={"help": "dropout inside the feed-forward layer"})
    pooler_dropout: float = field(default=0.0, metadata={"help": "dropout of classification heads"})
    encoder_layerdrop: float = field(default=0.0, metadata={"help": "probability of skipping a layer"})
    checkpoint_activations: bool = field(
        default=False, metadata={"help": "recompute each layer in the backward pass: less memory, more time"}
    )
    max_positions: int = field(default=512, metadata={"help": "number of learned positions, if any"})

    def sizes(self) -> dict[str, Any]:
        """The arguments of ``EncoderConfig`` that stand here."""
        return {name: plain(getattr(self, option)) for name, option in FAIRSEQ.items()}


def plain(value: Any) -> Any:
    """A choice of the command line as its text."""
    return str(value) if isinstance(value, Enum) else value


def architecture(model: str, name: str, **sizes: Any) -> None:
    """Registers ``--arch name`` of ``model``: options that the command line leaves open take these values."""

    @register_model_architecture(model, name)
    def set_sizes(args: Any) -> None:
        for option, value in sizes.items():
            if getattr(args, option, None) is None:
                setattr(args, option, value)


LARGE = {
    "encoder_layers": 24,
    "encoder_embed_dim": 1024,
    "encoder_ffn_embed_dim": 4096,
    "encoder_attention_heads": 16,
}
TINY = {
    "encoder_layers": 3,
    "encoder_embed_dim": 64,
    "encoder_ffn_embed_dim": 256,
    "encoder_attention_heads": 4,
}

"""LittleBird as a fairseq model: the encoder, and the heads a task asks for."""

# no postponed annotations: fairseq reads the types of the fields
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model, register_model_architecture
from torch import Tensor, nn

from fairseq_littlebird.attention import BACKENDS
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.heads.classification import ClassificationHead
from fairseq_littlebird.heads.language_model import LanguageModelHead
from fairseq_littlebird.heads.span_selection import SPAN_HEADS
from fairseq_littlebird.modules.config import POSITIONS, EncoderConfig
from fairseq_littlebird.modules.encoder import LittleBirdEncoder

logger = logging.getLogger(__name__)


@dataclass
class LittleBirdModelConfig(FairseqDataclass):
    """The base model of table 10; the other sizes are named architectures, and YAML files under configs/."""

    encoder_layers: int = field(default=12, metadata={"help": "layers"})
    encoder_embed_dim: int = field(default=768, metadata={"help": "hidden width"})
    encoder_ffn_embed_dim: int = field(default=3072, metadata={"help": "width of the feed-forward layer"})
    encoder_attention_heads: int = field(default=12, metadata={"help": "attention heads"})
    pack_size: int = field(default=64, metadata={"help": "packed rows S; 0 leaves out the pack stream"})
    block_size: int = field(default=64, metadata={"help": "tokens a block b"})
    dropout: float = field(default=0.1, metadata={"help": "dropout of each sub-layer's output"})
    attention_dropout: float = field(default=0.1, metadata={"help": "dropout of attention probabilities"})
    activation_dropout: float = field(default=0.0, metadata={"help": "dropout inside the feed-forward layer"})
    pooler_dropout: float = field(default=0.0, metadata={"help": "dropout of classification heads"})
    encoder_layerdrop: float = field(default=0.0, metadata={"help": "probability of skipping a layer"})
    checkpoint_activations: bool = field(
        default=False, metadata={"help": "recompute each layer in the backward pass: less memory, more time"}
    )
    positions: ChoiceEnum(POSITIONS) = field(  # type: ignore[valid-type]
        default="bialibi", metadata={"help": "learned and none are ablations"}
    )
    max_positions: int = field(default=512, metadata={"help": "rows of the learned position table, if any"})
    no_window: bool = field(
        default=False, metadata={"help": "ablation: attend to the packed rows alone, without a window"}
    )
    attention_backend: ChoiceEnum(BACKENDS) = field(  # type: ignore[valid-type]
        default="auto", metadata={"help": "dense is the quadratic reference"}
    )

    def encoder_config(self, vocab_size: int, padding_idx: int) -> EncoderConfig:
        """Raises UserError where the sizes do not fit together."""
        try:
            return EncoderConfig(
                vocab_size=vocab_size,
                padding_idx=padding_idx,
                layers=self.encoder_layers,
                embed_dim=self.encoder_embed_dim,
                ffn_embed_dim=self.encoder_ffn_embed_dim,
                heads=self.encoder_attention_heads,
                pack_size=self.pack_size,
                block_size=self.block_size,
                dropout=self.dropout,
                attention_dropout=self.attention_dropout,
                activation_dropout=self.activation_dropout,
                layerdrop=self.encoder_layerdrop,
                positions=str(self.positions),
                max_positions=self.max_positions,
                window=not self.no_window,
                checkpoint_activations=self.checkpoint_activations,
                attention_backend=str(self.attention_backend),
            )
        except ValueError as error:
            raise UserError(str(error), "model options", "choose sizes that fit together") from error


@register_model("littlebird", dataclass=LittleBirdModelConfig)
class LittleBirdModel(BaseFairseqModel):
    """Encoder and heads; takes the place of RobertaModel in fairseq's tasks and criterions.

    Legend: B batch, L tokens, C hidden width, V words, Q questions.
    """

    def __init__(self, cfg: LittleBirdModelConfig, encoder: LittleBirdEncoder) -> None:
        super().__init__()
        self.cfg = cfg
        self.encoder = encoder
        self.lm_head: LanguageModelHead | None = initialise(
            LanguageModelHead(cfg.encoder_embed_dim, encoder.config.vocab_size)
        )
        self.classification_heads = nn.ModuleDict()
        self.span_head: nn.Module | None = None

    @classmethod
    def build_model(cls, cfg: LittleBirdModelConfig, task: Any) -> "LittleBirdModel":
        """fairseq's hook: sizes from ``cfg``, words from the task's dictionary."""
        words = task.source_dictionary
        config = LittleBirdModelConfig(**{k: v for k, v in dict(cfg).items() if k != "_name"})
        return cls(config, LittleBirdEncoder(config.encoder_config(len(words), words.pad())))

    def forward(
        self,
        src_tokens: Tensor,
        src_lengths: Tensor | None = None,
        positions: Tensor | None = None,
        features_only: bool = False,
        return_all_hiddens: bool = False,
        classification_head_name: str | None = None,
        masked_tokens: Tensor | None = None,
        questions: Tensor | None = None,
        starts: Tensor | None = None,
        **unused: Any,
    ) -> tuple[Tensor, dict[str, Any]]:
        """
        Args:
            src_tokens: <int64>[B, L], padded with the dictionary's pad.
            src_lengths: unused; lengths are read off the padding.
            positions: <int64>[B, L] position ids with the gaps of padding insertion, or None for 0 … L-1.
            features_only: return hidden states instead of words.
            return_all_hiddens: put every layer's output into ``extra["inner_states"]``.
            classification_head_name: return this head's logits [B, K] instead.
            masked_tokens: <bool>[B, L], the tokens to score words for.
            questions, starts: <int64>[B, Q], positions of [QUESTION] tokens and of the gold starts; adds
                ``extra["start_logits"]`` and ``extra["end_logits"]`` <float>[B, Q, L] of the span head.
        Returns:
            x: hidden states <float>[B, L, C], or logits as above; and ``extra``.
        """
        states = self.encoder(src_tokens, positions)
        hidden = states[-1]
        extra: dict[str, Any] = {"inner_states": states if return_all_hiddens else None}
        if questions is not None and starts is not None:
            extra["start_logits"] = self.span_head.start_logits(hidden, questions)  # type: ignore[union-attr,operator]
            extra["end_logits"] = self.span_head.end_logits(hidden, questions, starts)  # type: ignore[union-attr,operator]
            return hidden, extra
        if classification_head_name is not None:
            return self.classification_heads[classification_head_name](hidden), extra
        if features_only or self.lm_head is None:
            return hidden, extra
        return self.lm_head(hidden, self.encoder.embed_tokens.weight, masked_tokens), extra

    def register_classification_head(
        self, name: str, num_classes: int = 2, inner_dim: int | None = None, **unused: Any
    ) -> None:
        """fairseq's hook for ``sentence_prediction``."""
        C = self.cfg.encoder_embed_dim
        head = ClassificationHead(C, inner_dim or C, num_classes, self.cfg.pooler_dropout)
        self.classification_heads[name] = initialise(head)

    def register_span_head(self, kind: str) -> None:
        """Adds the span head, one of ``SPAN_HEADS``, and takes away the word head, which has no part in it."""
        self.span_head = SPAN_HEADS[kind](self.cfg.encoder_embed_dim)
        self.lm_head = None

    def get_normalized_probs(self, net_output: Any, log_probs: bool, sample: Any = None) -> Tensor:
        logits = net_output[0].float()
        return logits.log_softmax(dim=-1) if log_probs else logits.softmax(dim=-1)

    def get_targets(self, sample: dict[str, Any], net_output: Any) -> Tensor:
        return sample["target"]

    def max_positions(self) -> int:
        """No limit of its own, but for learned positions: the task's limit holds."""
        return self.cfg.max_positions if str(self.cfg.positions) == "learned" else 2**31

    @property
    def supported_targets(self) -> set[str]:
        return {"self"}

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """Lets a checkpoint of one task start another: heads that only one side has start anew or stay out.

        Everything else must match; fairseq loads strictly.

        Raises:
            UserError: the checkpoint's words are not the dictionary's.
        """
        super().upgrade_state_dict_named(state_dict, name)
        words, here = state_dict.get("encoder.embed_tokens.weight"), self.encoder.embed_tokens.weight
        if words is not None and len(words) != len(here):
            raise UserError(
                f"the checkpoint has {len(words)} words, the dictionary {len(here)}",
                "checkpoint and dict.txt",
                "use the dict.txt the checkpoint was trained with",
            )
        own = self.state_dict()
        for head in ("lm_head.", "classification_heads.", "span_head."):
            theirs = {k for k in state_dict if k.startswith(head)}
            ours = {k for k in own if k.startswith(head)}
            if any(own[k].shape != state_dict[k].shape for k in ours & theirs) or ours != theirs:
                for key in theirs:
                    del state_dict[key]
                state_dict.update({k: own[k] for k in ours})
                if ours:
                    logger.info("%s is not in the checkpoint in this shape: it starts anew", head[:-1])


def initialise(module: nn.Module) -> Any:
    """BERT's initialisation for a head: linear weights normal with deviation 0.02, biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module


def architecture(name: str, **sizes: int) -> Callable[[Any], None]:
    """Registers ``--arch name``: options that the command line leaves open take these values."""

    @register_model_architecture("littlebird", name)
    def set_sizes(args: Any) -> None:
        for option, value in sizes.items():
            if getattr(args, option, None) is None:
                setattr(args, option, value)

    return set_sizes


architecture("littlebird_base")
architecture(
    "littlebird_large",
    encoder_layers=24,
    encoder_embed_dim=1024,
    encoder_ffn_embed_dim=4096,
    encoder_attention_heads=16,
)
architecture(
    "littlebird_tiny",
    encoder_layers=3,
    encoder_embed_dim=64,
    encoder_ffn_embed_dim=256,
    encoder_attention_heads=4,
    pack_size=32,
    block_size=32,
)

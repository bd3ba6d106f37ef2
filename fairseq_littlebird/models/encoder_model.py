"""What every encoder model of the plugin shares: the heads a task asks for, and fairseq's hooks."""

# no postponed annotations: fairseq reads the types of the fields
import logging
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model_architecture
from torch import Tensor, nn

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.heads.answer_type import AnswerTypeHead
from fairseq_littlebird.heads.classification import ClassificationHead
from fairseq_littlebird.heads.evidence import SegmentHead
from fairseq_littlebird.heads.language_model import LanguageModelHead
from fairseq_littlebird.heads.span_selection import SPAN_HEADS
from fairseq_littlebird.models.roles import Roles
from fairseq_littlebird.models.start import Start
from fairseq_littlebird.modules.config import ACTIVATIONS

logger = logging.getLogger(__name__)

TABLE = "encoder.embeddings.words.weight"
LM_HEAD = "lm_head."
HEADS = {
    LM_HEAD: "LM head",
    "classification_heads.": "classification head",
    "span_head.": "span head",
    "segment_head.": "head for sentences or paragraphs",
    "answer_type_head.": "head for answer types",
}
"""How the parameters of each begin, and what messages call it."""


@dataclass
class EncoderModelConfig(FairseqDataclass):
    """The base size of table 10; the other sizes are named architectures, and YAML files under configs/."""

    encoder_layers: int = field(default=12, metadata={"help": "layers"})
    encoder_embed_dim: int = field(default=768, metadata={"help": "hidden width"})
    encoder_ffn_embed_dim: int = field(default=3072, metadata={"help": "width of the feed-forward layer"})
    encoder_attention_heads: int = field(default=12, metadata={"help": "attention heads"})
    word_embed_dim: int = field(
        default=0, metadata={"help": "width of the word embeddings where it differs (ELECTRA); 0: the hidden width"}
    )
    layer_norm_eps: float = field(default=1e-5, metadata={"help": "what layer norms add to the variance"})
    activation: ChoiceEnum(ACTIVATIONS) = field(  # type: ignore[valid-type]
        default="gelu", metadata={"help": "of the feed-forward layers; gelu_tanh is BigBird's approximation"}
    )
    context_type: bool = field(
        default=False, metadata={"help": "tell the context from the question, as BERT's token types do"}
    )
    dropout: float = field(default=0.1, metadata={"help": "dropout of each sub-layer's output"})
    attention_dropout: float = field(default=0.1, metadata={"help": "dropout of attention probabilities"})
    activation_dropout: float = field(default=0.0, metadata={"help": "dropout inside the feed-forward layer"})
    pooler_dropout: float = field(default=0.0, metadata={"help": "dropout of classification heads"})
    encoder_layerdrop: float = field(default=0.0, metadata={"help": "probability of skipping a layer"})
    checkpoint_activations: bool = field(
        default=False, metadata={"help": "recompute each layer in the backward pass: less memory, more time"}
    )
    max_positions: int = field(default=512, metadata={"help": "rows of the learned position table, if any"})

    def sizes(self) -> dict[str, Any]:
        """The arguments of ``EncoderConfig`` that stand here."""
        return {
            "layers": self.encoder_layers,
            "embed_dim": self.encoder_embed_dim,
            "ffn_embed_dim": self.encoder_ffn_embed_dim,
            "heads": self.encoder_attention_heads,
            "word_embed_dim": self.word_embed_dim,
            "layer_norm_eps": self.layer_norm_eps,
            "activation": str(self.activation),
            "context_type": self.context_type,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "activation_dropout": self.activation_dropout,
            "layerdrop": self.encoder_layerdrop,
            "checkpoint_activations": self.checkpoint_activations,
            "max_positions": self.max_positions,
        }


class EncoderModel(BaseFairseqModel):
    """Encoder and heads; takes the place of RobertaModel in fairseq's tasks and criterions.

    Legend: B batch, L tokens, C hidden width, V words, Q questions, M segments.
    """

    title: str  # for messages
    config_class: type[EncoderModelConfig]
    used_for = ""
    """What a task that loads a checkpoint to use it needs its heads for; empty where they may still be trained."""
    start: Start | None = None
    """The checkpoint that a training of one of fairseq's own tasks goes on from."""
    takes_gaps = False
    """Whether gaps in the position ids mean something to it: padding insertion, and gaps between paragraphs."""

    def __init__(self, cfg: Any, encoder: Any) -> None:
        super().__init__()
        self.cfg = cfg
        self.encoder: Any = encoder
        self.lm_head: LanguageModelHead | None = initialise(
            LanguageModelHead(
                cfg.encoder_embed_dim,
                encoder.config.vocab_size,
                cfg.word_embed_dim,
                cfg.layer_norm_eps,
                str(cfg.activation),
            )
        )
        self.classification_heads = nn.ModuleDict()
        self.span_head: nn.Module | None = None
        self.segment_head: SegmentHead | None = None
        self.answer_type_head: AnswerTypeHead | None = None

    @classmethod
    def build_encoder(cls, cfg: Any, vocab_size: int, padding_idx: int) -> Any:
        """The encoder that ``cfg`` asks for. Raises ValueError where sizes do not fit together."""
        raise NotImplementedError

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "EncoderModel":
        """fairseq's hook: sizes from ``cfg``, words from the task's dictionary.

        Raises:
            UserError: sizes that do not fit together, padding insertion where it has no meaning, or one of several
                workers that know nothing of each other.
        """
        check_workers()
        if not cls.takes_gaps and getattr(getattr(task, "cfg", None), "padding_insertion", False):
            raise no_gaps(cls.title)
        words = task.source_dictionary
        config = cls.config_class(**{k: v for k, v in dict(cfg).items() if k != "_name"})
        try:
            model = cls(config, cls.build_encoder(config, len(words), words.pad()))
        except ValueError as error:
            raise UserError(str(error), "model options", "choose sizes that fit together") from error
        model.start = Start.of(cfg, task)
        return model

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
        segments: Tensor | None = None,
        context_starts: Tensor | None = None,
        return_routing: bool = False,
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
            questions, starts: <int64>[B, Q], positions of [QUESTION] tokens and of the gold starts; add
                ``extra["start_logits"]`` and ``extra["end_logits"]`` <float>[B, Q, L] of the span head.
            segments: <int64>[B, M, 2], first and last token; adds ``extra["segment_logits"]`` <float>[B, M] where the
                model has such a head. One for kinds of answers adds ``extra["type_logits"]`` <float>[B, K].
            context_starts: <int64>[B], where the context begins, after the question.
            return_routing: put what decided where each layer attends into ``extra["routing"]``.
        Returns:
            x: hidden states <float>[B, L, C], or logits as above; and ``extra``.
        Raises:
            UserError: position ids with gaps, and the model has no use for them.
        """
        if positions is not None and not self.takes_gaps:
            raise no_gaps(self.title)
        routing: list[Any] | None = [] if return_routing else None
        states: list[Tensor] | None = [] if return_all_hiddens else None
        roles = Roles(questions, context_starts, segments, classification_head_name is not None)
        lists: dict[str, Any] = {"states": states, "routing": routing}
        if self.encoder.config.context_type:
            lists["context_starts"] = context_starts
        hidden = self.encode(src_tokens, positions, roles, **lists)
        extra: dict[str, Any] = {"inner_states": states, "routing": routing}
        if questions is not None:
            extra["start_logits"] = self.span_head.start_logits(hidden, questions)  # type: ignore[union-attr,operator]
            if starts is not None:
                extra["end_logits"] = self.span_head.end_logits(hidden, questions, starts)  # type: ignore[union-attr,operator]
            if self.segment_head is not None and segments is not None:
                extra["segment_logits"] = self.segment_head(hidden, segments)
            if self.answer_type_head is not None:
                extra["type_logits"] = self.answer_type_head(hidden)
            return hidden, extra
        if classification_head_name is not None:
            return self.classification_heads[classification_head_name](hidden), extra
        if masked_tokens is not None and self.lm_head is None and not features_only:
            raise UserError("the model has no LM head", remedy="train one: fairseq-train --task littlebird_masked_lm")
        if features_only or self.lm_head is None:
            return hidden, extra
        return self.lm_head(hidden, self.encoder.embeddings.words.weight, masked_tokens), extra

    def encode(self, tokens: Tensor, positions: Tensor | None, roles: Roles, **lists: Any) -> Tensor:
        """Hidden states <float>[B, L, C]; a model that treats some tokens apart tells its encoder which.

        Args:
            tokens, positions: as :meth:`forward`'s.
            roles: what the task says of its tokens.
            lists: to add states and routing to, and where contexts start; see the encoder.
        """
        hidden: Tensor = self.encoder(tokens, positions, **lists)
        return hidden

    def register_classification_head(
        self, name: str, num_classes: int = 2, inner_dim: int | None = None, **unused: Any
    ) -> None:
        """fairseq's hook for ``sentence_prediction``; takes away the word head, which has no part in it."""
        C = self.cfg.encoder_embed_dim
        head = ClassificationHead(C, inner_dim or C, num_classes, self.cfg.pooler_dropout)
        self.classification_heads[name] = initialise(head)
        self.lm_head = None

    def register_span_head(self, kind: str) -> None:
        """Adds the span head, one of ``SPAN_HEADS``, and takes away the word head, which has no part in it."""
        self.span_head = SPAN_HEADS[kind](self.cfg.encoder_embed_dim)
        self.lm_head = None

    def register_segment_head(self) -> None:
        """Adds the head that judges sentences or paragraphs."""
        self.segment_head = initialise(SegmentHead(self.cfg.encoder_embed_dim))

    def register_answer_type_head(self, kinds: int) -> None:
        """Adds the head that tells so many kinds of answers apart."""
        self.answer_type_head = initialise(AnswerTypeHead(self.cfg.encoder_embed_dim, kinds))

    def get_normalized_probs(self, net_output: Any, log_probs: bool, sample: Any = None) -> Tensor:
        logits = net_output[0].float()
        return logits.log_softmax(dim=-1) if log_probs else logits.softmax(dim=-1)

    def get_targets(self, sample: dict[str, Any], net_output: Any) -> Tensor:
        return sample["target"]

    def max_positions(self) -> int:
        """The learned positions, where there are any; otherwise no limit of its own: the task's holds."""
        return self.cfg.max_positions if self.encoder.config.has_positions else 2**31

    @property
    def supported_targets(self) -> set[str]:
        return {"self"}

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """Lets a checkpoint of one task start another: heads that only one side has are newly initialised or stay out.

        Everything else must match; fairseq loads strictly. A model that does not train needs its heads.

        Raises:
            UserError: the checkpoint's dictionary is not the data's, or it lacks a head.
        """
        super().upgrade_state_dict_named(state_dict, name)
        words, here = state_dict.get(TABLE), self.encoder.embeddings.words.weight
        if words is not None and len(words) != len(here):
            raise UserError(
                f"the checkpoint has {len(words)} words, the dictionary {len(here)}",
                "checkpoint and dict.txt",
                "use the dict.txt the checkpoint was trained with",
            )
        if words is not None and self.start is not None:
            self.start.check(TABLE, words)
        own, lacking = self.state_dict(), []
        for head in HEADS:
            theirs = {k for k in state_dict if k.startswith(head)}
            ours = {k for k in own if k.startswith(head)}
            if ours == theirs and all(own[k].shape == state_dict[k].shape for k in ours):
                continue
            for key in theirs:
                del state_dict[key]
            if self.used_for and head == LM_HEAD:  # nothing but language modelling needs it, and that asks for it
                self.lm_head = None
                continue
            lacking += [head] if ours else []
            state_dict.update({k: own[k] for k in ours})
        if lacking and self.used_for:
            titles = " and no ".join(HEADS[head] for head in lacking)
            raise UserError(
                f"the checkpoint has no {titles} of the shape that {self.used_for} needs",
                remedy="fine-tune it for that first: fairseq-train --finetune-from-model",
            )
        for head in lacking:
            logger.info("%s is not in the checkpoint in this shape: it is newly initialised", head[:-1])


def initialise(module: nn.Module) -> Any:
    """BERT's initialisation for a head: linear weights normal with deviation 0.02, biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module


def check_workers() -> None:
    """Raises UserError under torchrun where fairseq's own command would train once in every worker, in one folder."""
    count = os.environ.get("WORLD_SIZE", "1") if "TORCHELASTIC_RUN_ID" in os.environ else "1"
    program = Path(sys.argv[0]).name
    if count != "1" and program in ("fairseq-train", "fairseq-hydra-train") and not torch.distributed.is_initialized():
        raise UserError(
            f"{count} workers that know nothing of each other would train in one folder",
            f"torchrun {program}",
            "start littlebird-launch with the same arguments",
        )


def no_gaps(model: str) -> UserError:
    """What to say of padding insertion where a model's positions leave no room for gaps."""
    return UserError(
        "padding insertion has no meaning for such a model's positions", model, "leave out --padding-insertion"
    )


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

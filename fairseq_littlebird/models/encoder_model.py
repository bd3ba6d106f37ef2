"""What every encoder model of the plugin shares: an encoder under the heads a task asks for, and fairseq's hooks."""

# no postponed annotations: fairseq reads the types of the fields
from collections.abc import Sequence
from typing import Any

import torch
from fairseq.models import BaseFairseqModel
from torch import Tensor

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.architectures import EncoderModelConfig
from fairseq_littlebird.models.checkpoint_upgrade import fit_heads
from fairseq_littlebird.models.start import Start
from fairseq_littlebird.models.task_heads import TaskHeads
from fairseq_littlebird.models.worker_check import check_workers
from fairseq_littlebird.modules.encoder import Encoder
from fairseq_littlebird.modules.token_annotations import GlobalStructure, TokenAnnotations


class EncoderModel(TaskHeads, BaseFairseqModel):
    """Encoder and heads; takes the place of RobertaModel in fairseq's tasks and criterions.

    Legend: B batch, L tokens, C hidden width, V vocabulary, Q questions, M segments, G global tokens.
    """

    title: str  # for messages
    config_class: type[EncoderModelConfig]
    used_for = ""
    """What a task that loads a checkpoint to use it needs its heads for; empty where they may still be trained."""
    start: Start | None = None
    """The checkpoint that a training of one of fairseq's own tasks goes on from."""
    supports_padding_insertion = False
    """Whether gaps in the position ids mean something to it: padding insertion, and gaps between paragraphs."""
    global_tokens_in_text = False
    """Whether the global tokens of structured input are tokens of the text."""

    def __init__(self, cfg: Any, encoder: Encoder[Any, Any, Any]) -> None:
        super().__init__()
        self.cfg = cfg
        self.encoder = encoder
        self.build_heads(cfg, encoder.config.vocab_size)

    @classmethod
    def build_encoder(cls, cfg: Any, vocab_size: int, padding_idx: int) -> Encoder[Any, Any, Any]:
        """The encoder that ``cfg`` asks for. Raises ValueError where sizes do not fit together."""
        raise NotImplementedError

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "EncoderModel":
        """fairseq's hook: sizes from ``cfg``, the vocabulary from the task's dictionary.

        Raises:
            UserError: sizes that do not fit together, padding insertion where it has no meaning, or one of several
                workers that know nothing of each other.
        """
        check_workers()
        if not cls.supports_padding_insertion and getattr(getattr(task, "cfg", None), "padding_insertion", False):
            raise no_gaps(cls.title)
        dictionary = task.source_dictionary
        config = cls.config_class(**{k: v for k, v in dict(cfg).items() if k != "_name"})
        try:
            model = cls(config, cls.build_encoder(config, len(dictionary), dictionary.pad()))
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
        unpadded: Tensor | None = None,
        lengths: Sequence[int] | None = None,
        last_context_start: int | None = None,
        global_tokens: Tensor | None = None,
        global_kinds: Tensor | None = None,
        global_groups: Tensor | None = None,
        global_owners: Tensor | None = None,
        global_mentions: Tensor | None = None,
        segment_globals: Tensor | None = None,
        return_attention_internals: bool = False,
        **unused: Any,
    ) -> tuple[Tensor, dict[str, Any]]:
        """
        Args:
            src_tokens: <int64>[B, L], padded with the dictionary's pad.
            src_lengths: unused; lengths are read off the padding.
            positions: <int64>[B, L] position ids with the gaps of padding insertion, or None for 0 … L-1.
            features_only: return hidden states instead of logits.
            return_all_hiddens: put every layer's output into ``extra["inner_states"]``.
            classification_head_name: return this head's logits [B, K] instead.
            masked_tokens: <bool>[B, L], the tokens to predict; or <int64>[N], which they are of the [B · L].
            questions, starts: <int64>[B, Q], positions of [QUESTION] tokens and of the gold starts; add
                ``extra["start_logits"]`` and ``extra["end_logits"]`` <float>[B, Q, L] of the span head.
            segments: <int64>[B, M, 2], first and last token; adds ``extra["segment_logits"]`` <float>[B, M] where the
                model has such a head. One for answer types adds ``extra["type_logits"]`` <float>[B, K].
            context_starts: <int64>[B], where the context begins, after the question; or the second sequence of a pair,
                where the model has a head for next-sentence prediction, whose ``extra["next_sentence_logits"]``
                <float>[B, 2] are added.
            unpadded: <int64>[N], which of the [B · L] tokens are not padding; given, no device is asked for it.
            lengths, last_context_start: B tokens up to the last unpadded one, and the largest of ``context_starts``,
                as numbers of the host; likewise.
            global_tokens, global_kinds, global_groups, global_owners, global_mentions, segment_globals: structured
                input, see ``NetInput``; the heads of segments and of answer types then read global tokens.
                Adds ``extra["global_states"]`` <float>[B, G, C] where they stand beside the text.
            return_attention_internals: put each layer's queries and keys into ``extra["attention_internals"]``.
        Returns:
            x: hidden states <float>[B, L, C], or logits as above; and ``extra``, with the hidden states as ``hidden``.
        Raises:
            UserError: position ids with gaps, and the model has no use for them.
        """
        if positions is not None and not self.supports_padding_insertion:
            raise no_gaps(self.title)
        internals: list[Any] | None = [] if return_attention_internals else None
        states: list[Tensor] | None = [] if return_all_hiddens else None
        is_classification = classification_head_name is not None or self.next_sentence_head is not None
        annotations = TokenAnnotations(
            questions, context_starts, segments, global_tokens, unpadded=unpadded, lengths=lengths,
            last_context_start=last_context_start, is_classification=is_classification,
        )  # fmt: skip
        global_states: list[Tensor] | None = None
        if global_kinds is not None and global_groups is not None:
            assert global_owners is not None and global_mentions is not None
            structure = GlobalStructure(global_kinds, global_groups, global_owners, global_mentions)
            annotations, global_states = annotations._replace(structure=structure), []
        annotations = self.annotated(src_tokens, annotations)
        hidden = self.encode(src_tokens, positions, states, internals, annotations, global_states)
        if global_states and segment_globals is not None:
            segments = segment_globals
        reading = global_states[0] if global_states else hidden  # of the heads that read no span
        extra: dict[str, Any] = {"hidden": hidden, "inner_states": states, "attention_internals": internals}
        if global_states:
            extra["global_states"] = global_states[0]
        if self.next_sentence_head is not None:
            extra["next_sentence_logits"] = self.next_sentence_head(hidden)
        if questions is not None:
            extra["start_logits"] = self.span_head.start_logits(hidden, questions)  # type: ignore[union-attr,operator]
            if starts is not None:
                extra["end_logits"] = self.span_head.end_logits(hidden, questions, starts)  # type: ignore[union-attr,operator]
            if self.segment_head is not None and segments is not None:
                extra["segment_logits"] = self.segment_head(reading, segments)
            if self.answer_type_head is not None:
                extra["type_logits"] = self.answer_type_head(reading)
            return hidden, extra
        if classification_head_name is not None:
            return self.classification_heads[classification_head_name](hidden), extra
        if masked_tokens is not None and self.lm_head is None and not features_only:
            raise UserError("the model has no LM head", remedy="train one: fairseq-train --task littlebird_masked_lm")
        if features_only or self.lm_head is None:
            return hidden, extra
        return self.lm_head(hidden, self.encoder.embeddings.tokens.weight, masked_tokens), extra

    def encode(
        self,
        tokens: Tensor,
        positions: Tensor | None,
        states: list[Tensor] | None,
        internals: list[Any] | None,
        annotations: TokenAnnotations,
        global_states: list[Tensor] | None = None,
    ) -> Tensor:
        """Hidden states <float>[B, L, C]; arguments as the encoder's."""
        hidden: Tensor = self.encoder(tokens, positions, None, states, internals, annotations, global_states)
        return hidden

    @property
    def takes_structured_input(self) -> bool:
        """Whether the data set says which global tokens there are."""
        return bool(getattr(self.cfg, "structured_input", False))

    def check_training(self, device: torch.device, dtype: torch.dtype) -> None:
        """Raises UserError where a model cannot be trained on such a device in such a precision."""

    def annotated(self, tokens: Tensor, annotations: TokenAnnotations) -> TokenAnnotations:
        """With what the encoder needs beyond what the task says of its tokens <int64>[B, L]."""
        return annotations

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
        """fairseq's hook; see :func:`fit_heads`."""
        super().upgrade_state_dict_named(state_dict, name)
        fit_heads(self, state_dict, self.used_for, self.start)


def no_gaps(model: str) -> UserError:
    """What to say of padding insertion where a model's positions leave no room for gaps."""
    return UserError(
        "padding insertion has no meaning for such a model's positions", model, "leave out --padding-insertion"
    )

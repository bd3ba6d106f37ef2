"""LittleBird's models for transformers. Goes with each exported model: imports transformers and what it needs alone.

Legend: B batch, L tokens, C hidden width, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput, QuestionAnsweringModelOutput

from fairseq_littlebird.export.configuration_littlebird import LittleBirdConfig
from fairseq_littlebird.export.document_windows import DocumentWindow, check_texts, document_windows
from fairseq_littlebird.heads.language_model import LanguageModelHead
from fairseq_littlebird.heads.span_selection import SPAN_HEADS, QuestionAwareSpanHead
from fairseq_littlebird.inference.span_decoding import DecodedSpans, decode_spans
from fairseq_littlebird.modules.config.littlebird import LittleBirdConfig as EncoderConfig
from fairseq_littlebird.modules.left_padding import first_tokens, shifted
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder
from fairseq_littlebird.modules.size_names import LITTLEBIRD_SIZE_NAMES
from fairseq_littlebird.modules.token_annotations import TokenAnnotations
from fairseq_littlebird.text.tokenizers.offsets import without_blanks

WINDOW = 8192
"""Tokens, as ``LittleBird.from_pretrained`` has them."""


def encoder_config(config: LittleBirdConfig) -> EncoderConfig:
    """The same sizes and switches under the encoder's own names."""
    sizes = {name.config: getattr(config, name.hugging_face) for name in LITTLEBIRD_SIZE_NAMES if name.hugging_face}
    return EncoderConfig(**sizes | {"max_positions": config.max_position_embeddings or 0})


class LittleBirdPreTrainedModel(PreTrainedModel):
    """What the models share."""

    config_class = LittleBirdConfig
    base_model_prefix = "littlebird"
    main_input_name = "input_ids"
    _no_split_modules = ["LittleBirdLayer"]

    def _init_weights(self, module: nn.Module) -> None:
        """For what a checkpoint lacks, such as the head of another task."""
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, LanguageModelHead):
            nn.init.zeros_(module.bias)
        elif isinstance(module, QuestionAwareSpanHead):
            module.reset_parameters()


class LittleBirdModel(LittleBirdPreTrainedModel):
    """The encoder."""

    def __init__(self, config: LittleBirdConfig) -> None:
        super().__init__(config)
        self.encoder = LittleBirdEncoder(encoder_config(config))
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.embeddings.tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.encoder.embeddings.tokens = value  # type: ignore[assignment]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **unused: Any,
    ) -> Any:
        """
        Args:
            input_ids: <int64>[B, L], of any L ≥ 1.
            attention_mask: <integer>[B, L], 0 = padding; None takes what the padding token is.
            token_type_ids: <int64>[B, L], 1 from the context's first token on; read only where the model has types.
            position_ids: <int64>[B, L], non-decreasing along L, or None for 0 … L-1; gaps are virtual padding.
            output_hidden_states: return the embeddings and every layer's output as well.
            return_dict: False for a tuple.
        Returns:
            ``last_hidden_state`` <float>[B, L, C]; what stands at padding is undefined.
        """
        states: list[Tensor] | None = [] if output_hidden_states else None
        padding = input_ids == self.config.pad_token_id if attention_mask is None else attention_mask == 0
        left = padding_on_the_left(padding)
        if left is not None:  # as if it stood on the right; a graph does so for all batches
            input_ids, padding = shifted(input_ids, left), shifted(padding, left)
            token_type_ids = None if token_type_ids is None else shifted(token_type_ids, left)
            if position_ids is not None:
                position_ids = shifted(position_ids.expand(input_ids.shape), left)
                last = position_ids.masked_fill(padding, 0).amax(dim=1, keepdim=True)
                position_ids = torch.where(padding, last, position_ids)
        hidden = self.encoder(
            input_ids,
            position_ids,
            padding,
            states,
            annotations=TokenAnnotations(
                context_starts=None if token_type_ids is None else context_starts(token_type_ids)
            ),
        )
        if left is not None:
            hidden = shifted(hidden, -left)
            states = None if states is None else [shifted(state, -left) for state in states]
        output = BaseModelOutput(hidden, None if states is None else tuple(states))
        return output.to_tuple() if return_dict is False else output


class LittleBirdForMaskedLM(LittleBirdPreTrainedModel):
    """Logits of masked tokens; the token embeddings are those of the encoder."""

    def __init__(self, config: LittleBirdConfig) -> None:
        super().__init__(config)
        self.littlebird = LittleBirdModel(config)
        sizes = encoder_config(config)
        self.lm_head = LanguageModelHead(
            sizes.embed_dim,
            sizes.vocab_size,
            sizes.word_embed_dim,
            sizes.layer_norm_eps,
            sizes.activation,
            bias=sizes.form.bias,
        )
        self.post_init()

    def get_output_embeddings(self) -> None:
        """None: the head reads the encoder's embeddings and has no table of its own."""

    def resize_token_embeddings(self, *arguments: Any, **options: Any) -> Any:
        """As transformers', with the head's biases: 0 for new tokens."""
        table = super().resize_token_embeddings(*arguments, **options)
        bias = self.lm_head.bias
        self.lm_head.bias = nn.Parameter(
            F.pad(bias.detach(), (0, table.num_embeddings - len(bias))), bias.requires_grad
        )
        return table

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **unused: Any,
    ) -> Any:
        """Arguments as :meth:`LittleBirdModel.forward`'s.

        Args:
            labels: <int64>[B, L], -100 where nothing is asked; adds ``loss``.
        Returns:
            ``logits`` <float>[B, L, V].
        """
        output = self.littlebird(input_ids, attention_mask, token_type_ids, position_ids, output_hidden_states)
        logits = self.lm_head(output.last_hidden_state, self.littlebird.encoder.embeddings.tokens.weight)
        loss = None if labels is None else F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())
        result = MaskedLMOutput(loss, logits, output.hidden_states)
        return result.to_tuple() if return_dict is False else result


class LittleBirdForQuestionAnswering(LittleBirdPreTrainedModel):
    """Answers as spans of the context: the start first, then the end given the start."""

    def __init__(self, config: LittleBirdConfig) -> None:
        super().__init__(config)
        self.littlebird = LittleBirdModel(config)
        self.span_head = SPAN_HEADS[config.span_head or "linear"](config.hidden_size)
        self._tokenizer: Any = None
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **unused: Any,
    ) -> Any:
        """Arguments as :meth:`LittleBirdModel.forward`'s; the tokens are ``<s> [QUESTION] question </s> context </s>``.

        Args:
            start_positions: <int64>[B], the starts to score ends for; None takes the best start in each context.
            end_positions: <int64>[B]; with ``start_positions`` adds ``loss``. Both 0 where there is no answer.
        Returns:
            ``start_logits`` and ``end_logits`` <float>[B, L], the latter given the start: not enough to find the best
            span, for which see :meth:`spans`.
        """
        output = self.littlebird(input_ids, attention_mask, token_type_ids, position_ids, output_hidden_states)
        hidden, questions = output.last_hidden_state, self.questions(input_ids)
        inside = self.context(input_ids, attention_mask)
        start_logits = self.span_head.start_logits(hidden, questions)[:, 0]  # type: ignore[operator]
        starts = start_positions
        if starts is None:
            starts = start_logits.masked_fill(~inside, torch.finfo(start_logits.dtype).min).argmax(dim=1)
        end_logits = self.span_head.end_logits(hidden, questions, starts[:, None])[:, 0]  # type: ignore[operator]
        loss = None
        if start_positions is not None and end_positions is not None:
            padding = torch.zeros_like(inside) if attention_mask is None else attention_mask == 0
            places = torch.arange(inside.shape[1], device=inside.device)
            inside = inside | (places == first_tokens(padding)[:, None])  # <s> for no answer
            both = ((start_logits, start_positions), (end_logits, end_positions))
            parts = [F.cross_entropy(s.float().masked_fill(~inside, -1e30), gold) for s, gold in both]
            loss = (parts[0] + parts[1]) / 2
        result = QuestionAnsweringModelOutput(loss, start_logits, end_logits, output.hidden_states)
        return result.to_tuple() if return_dict is False else result

    def questions(self, input_ids: Tensor) -> Tensor:
        """Where the first [QUESTION] of each sequence is: <int64>[B, 1]."""
        return (input_ids == self.config.question_token_id).long().argmax(dim=1, keepdim=True)

    def context(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """The tokens between the first and the last </s> of each sequence: <bool>[B, L]."""
        separators = (input_ids == self.config.sep_token_id).long()
        if attention_mask is not None:
            separators = separators * (attention_mask != 0)
        before = separators.cumsum(dim=1)
        behind = separators.sum(dim=1, keepdim=True) - before
        return (before - separators > 0) & (behind > 0)

    @torch.no_grad()
    def spans(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        max_answer_length: int | None = None,
        n_best: int = 20,
    ) -> DecodedSpans:
        """The best spans of each context, ends given each of the best starts; as ``littlebird-predict`` has them.

        The probability of a span is exp(score - log_normaliser), with the logsumexp of all sequences' normalisers where
        the sequences are windows of one document, and that of no answer the same of ``null_score``.

        Args:
            input_ids, attention_mask, token_type_ids, position_ids: as :meth:`forward`'s.
            max_answer_length: in tokens; None for that of the data set it was trained on.
            n_best: N, spans a sequence.
        Returns:
            ``starts`` and ``ends`` <int64>[B, N], inclusive, and ``scores`` <float32>[B, N], best first, -inf where
            there are fewer; ``null_score`` and ``log_normaliser`` <float32>[B].
        """
        hidden = self.littlebird(input_ids, attention_mask, token_type_ids, position_ids).last_hidden_state
        return self.decode(hidden, input_ids, attention_mask, max_answer_length, n_best)

    def decode(
        self,
        hidden: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        max_answer_length: int | None = None,
        n_best: int = 20,
    ) -> DecodedSpans:
        """:meth:`spans` of hidden states <float>[B, L, C]."""
        padding = torch.zeros_like(input_ids).bool() if attention_mask is None else attention_mask == 0
        left = padding_on_the_left(padding)
        if left is not None:
            hidden, input_ids, padding = shifted(hidden, left), shifted(input_ids, left), shifted(padding, left)
        selectable = self.context(input_ids, ~padding)
        if self.config.null_answer:
            selectable = selectable | (torch.arange(input_ids.shape[1], device=input_ids.device) == 0)
        spans = decode_spans(
            self.span_head,  # type: ignore[arg-type]
            hidden,
            self.questions(input_ids),
            selectable,
            max_answer_length or self.config.max_answer_length,
            n_best=n_best,
        )
        if left is None:
            return spans
        return spans._replace(starts=spans.starts + left[:, None], ends=spans.ends + left[:, None])

    def answer(
        self,
        question: str,
        document: str,
        tokenizer: Any = None,
        top_k: int = 1,
        max_answer_length: int | None = None,
        max_tokens: int | None = WINDOW,
        stride: int | None = None,
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """The best spans of a document, however long it is: those of ``LittleBird.answer``.

        Args:
            question, document: texts.
            tokenizer: the one that came with the model; None loads it from where the model came from.
            top_k: answers at most; of those that overlap, the best alone.
            max_answer_length: in tokens; None for that of the data set it was trained on.
            max_tokens: of a window; longer documents are cut into several. None reads all of them as one.
            stride: tokens from one window's start to the next one's; None for half a window.
        Returns:
            ``answer``, ``start`` and ``end`` (characters of the document), ``score`` (its probability), ``no_answer``
            (the probability of there being none; 0 of a model that was never trained to say so); with another ``top_k``
            than 1 a list of these, the best first. Without any token in the document, any room beside the question, or
            any span of so few words, the answer is empty, or the list.
        Raises:
            InputError: a ``ValueError``: the question or the document is no ``str``, or the question is empty.
        """
        check_texts(question, document)
        if tokenizer is None:
            tokenizer = self.tokenizer()
        if max_tokens is not None and self.config.max_position_embeddings:
            max_tokens = min(max_tokens, self.config.max_position_embeddings)
        windows = document_windows(tokenizer, question, document, max_tokens, stride)
        found, none = self._ranked(windows, document, max_answer_length, 20 * top_k)
        kept: list[dict[str, Any]] = []
        for start, end, score in found:
            if len(kept) < top_k and all(end <= other["start"] or other["end"] <= start for other in kept):
                kept.append({"answer": document[start:end], "start": start, "end": end, "score": score} | none)
        if top_k != 1:
            return kept
        return kept[0] if kept else {"answer": "", "start": 0, "end": 0, "score": 0.0} | none

    def _ranked(
        self, windows: Sequence[DocumentWindow], document: str, max_answer_length: int | None, n_best: int
    ) -> tuple[list[tuple[int, int, float]], dict[str, float]]:
        """Spans of a document as characters and probability, best first, and the probability of no answer."""
        scores: dict[tuple[int, int], float] = {}
        nulls, normalisers = [], []
        for window in windows:
            inputs = {name: tensor.to(self.device) for name, tensor in window.inputs.items()}
            spans = self.spans(**inputs, max_answer_length=max_answer_length, n_best=n_best)
            nulls.append(spans.null_score[0])
            normalisers.append(spans.log_normaliser[0])
            for first, last, score in zip(*(part[0].tolist() for part in spans[:3]), strict=True):
                if score > -math.inf:
                    start, end = window.offsets[first - window.first][0], window.offsets[last - window.first][1]
                    characters = without_blanks(document, start, end)
                    scores[characters] = max(score, scores.get(characters, -math.inf))
        if not windows:
            return [], {"no_answer": 1.0}
        normaliser = float(torch.stack(normalisers).logsumexp(dim=0))
        words = self.config.max_answer_words
        ranked = sorted(
            ((start, end) for start, end in scores
             if start < end and (words is None or len(document[start:end].split()) <= words)),
            key=lambda span: (-scores[span], span),
        )[:n_best]  # fmt: skip
        found = [(*span, math.exp(scores[span] - normaliser)) for span in ranked]
        return found, {"no_answer": math.exp(float(torch.stack(nulls).logsumexp(dim=0)) - normaliser)}

    def tokenizer(self) -> Any:
        """The one that came with the model, loaded once from the folder or repository that the model came from."""
        if self._tokenizer is None:
            self._tokenizer = PreTrainedTokenizerFast.from_pretrained(str(self.config.name_or_path))
        return self._tokenizer


def padding_on_the_left(padding: Tensor) -> Tensor | None:
    """How many places of each sequence come before its first token, <bool>[B, L] to <int64>[B]; None for none at all.

    A graph cannot tell.
    """
    if not torch.compiler.is_compiling() and not padding[:, 0].any():
        return None
    return first_tokens(padding)


def context_starts(token_type_ids: Tensor) -> Tensor:
    """<int64>[B, L] to the first token of type 1, or L where there is none: <int64>[B]."""
    context = token_type_ids == 1
    return torch.where(context.any(dim=1), context.long().argmax(dim=1), token_type_ids.shape[1])

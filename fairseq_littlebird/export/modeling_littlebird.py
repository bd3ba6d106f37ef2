"""LittleBird's models for transformers. Goes with each exported model: imports transformers and what it needs alone.

Legend: B batch, L tokens, C hidden width, V vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput, QuestionAnsweringModelOutput

from fairseq_littlebird.export.configuration_littlebird import LittleBirdConfig
from fairseq_littlebird.heads.language_model import LanguageModelHead
from fairseq_littlebird.heads.span_selection import SPAN_HEADS, QuestionAwareSpanHead
from fairseq_littlebird.inference.span_decoding import DecodedSpans, decode_spans
from fairseq_littlebird.modules.config.littlebird import LittleBirdConfig as EncoderConfig
from fairseq_littlebird.modules.left_padding import first_tokens, shifted
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder
from fairseq_littlebird.modules.size_names import LITTLEBIRD_SIZE_NAMES
from fairseq_littlebird.modules.token_annotations import TokenAnnotations
from fairseq_littlebird.text.tokenizers.offsets import OffsetFitter


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

    @torch.no_grad()
    def answer(
        self, tokenizer: Any, question: str, context: str, max_answer_length: int | None = None, **inputs: Any
    ) -> dict[str, Any]:
        """The best span of the whole context, however long it is; as ``littlebird-predict`` finds it.

        Args:
            tokenizer: the one that came with the model.
            question, context: texts.
            max_answer_length: in tokens; None for that of the data set it was trained on.
            inputs: for the encoder, such as ``position_ids``.
        Returns:
            ``answer``, ``start`` and ``end`` (characters of the context), ``score`` (its probability), ``no_answer``
            (the probability of there being none; 0 of a model that was never trained to say so). Without any token in
            the context, or any span of so few words, the answer is empty.
        """
        texts = readable(question), readable(context)
        encoded = tokenizer(*texts, return_offsets_mapping=True, return_tensors="pt")
        offsets = encoded.pop("offset_mapping")[0].tolist()
        inside = [part == 1 for part in encoded.sequence_ids(0)]
        nothing = {"answer": "", "start": 0, "end": 0, "score": 0.0}
        if not any(inside):
            return nothing | {"no_answer": 1.0}
        first_inside, stop_inside = inside.index(True), len(inside) - inside[::-1].index(True)
        offsets[first_inside:stop_inside] = exact_offsets(tokenizer, texts[1], offsets[first_inside:stop_inside])
        tokens = {name: tensor.to(self.device) for name, tensor in encoded.items()}
        spans = self.spans(**tokens, **inputs, max_answer_length=max_answer_length)
        words, normaliser = self.config.max_answer_words, spans.log_normaliser
        none = {"no_answer": float((spans.null_score - normaliser).exp())}
        probabilities = (spans.scores - normaliser[:, None]).exp()
        for first, last, score in zip(*(part[0].tolist() for part in (*spans[:2], probabilities)), strict=True):
            start, end = offsets[first][0], offsets[last][1]
            if score > 0 and (words is None or len(context[start:end].split()) <= words):
                return {"answer": context[start:end], "start": start, "end": end, "score": score} | none
        return nothing | none


def readable(text: str) -> str:
    """Lone surrogates, which no tokenizer reads, as U+FFFD; no offset moves."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def exact_offsets(tokenizer: Any, text: str, offsets: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """[start, end) of tokens, with all characters that they were made of, some of which the library leaves out.

    Of a decomposed Hangul syllable it tells the first jamo alone (huggingface/tokenizers#1201).

    Args:
        tokenizer: the one that came with the model.
        text: of the tokens.
        offsets: as the tokenizer tells them.
    """
    if not text or not offsets:
        return []
    normalizer = tokenizer.backend_tokenizer.normalizer
    places = np.array(offsets, dtype=np.int64)
    fitter = OffsetFitter(None if normalizer is None else normalizer.normalize_str)
    return fitter.fit(text, places[:, 0], places[:, 1])


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

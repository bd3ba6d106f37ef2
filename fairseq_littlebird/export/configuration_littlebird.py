"""LittleBird's configuration for transformers. Goes with each exported model: imports nothing but transformers."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig


class LittleBirdConfig(PretrainedConfig):
    """Sizes and switches under the names that transformers has for them.

    Args:
        vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, layer_norm_eps: as BERT's.
        hidden_act: ``gelu``, or ``gelu_tanh``, its approximation.
        hidden_dropout_prob, attention_probs_dropout_prob, activation_dropout: probabilities, in training alone.
        embedding_size: width of the token embeddings where a projection follows them; 0: hidden_size.
        max_position_embeddings: learned position embeddings, where there are any; otherwise there is no limit.
        pack_size, block_size, positions, window: LittleBird's own.
        attention_backend: how unpack and window attention is computed, ``auto`` for the fastest that runs there.
        normalize_before, gated_feed_forward, bias_free: the form of the layers; all three are ModernBERT's.
        token_types: a vector is added to the tokens of the context, where ``token_type_ids`` are 1.
        span_head: the kind of head over which questions are answered, or nothing.
        question_token_id: of [QUESTION], which stands before each question.
        max_answer_length: in tokens.
        max_answer_words: the same in words, where the data set says so.
        null_answer: <s> stands for no answer; not where every training question had one.
    """

    model_type = "littlebird"

    def __init__(
        self,
        vocab_size: int = 50265,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        hidden_act: str = "gelu",
        hidden_dropout_prob: float = 0.1,
        attention_probs_dropout_prob: float = 0.1,
        activation_dropout: float = 0.0,
        layer_norm_eps: float = 1e-5,
        embedding_size: int = 0,
        max_position_embeddings: int | None = None,
        pack_size: int = 64,
        block_size: int = 64,
        positions: str = "bialibi",
        window: bool = True,
        attention_backend: str = "auto",
        normalize_before: bool = False,
        gated_feed_forward: bool = False,
        bias_free: bool = False,
        token_types: bool = False,
        span_head: str = "",
        question_token_id: int | None = None,
        max_answer_length: int = 30,
        max_answer_words: int | None = None,
        null_answer: bool = True,
        pad_token_id: int = 1,
        **others: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.hidden_act = hidden_act
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.activation_dropout = activation_dropout
        self.layer_norm_eps = layer_norm_eps
        self.embedding_size = embedding_size
        self.max_position_embeddings = max_position_embeddings
        self.pack_size = pack_size
        self.block_size = block_size
        self.positions = positions
        self.window = window
        self.attention_backend = attention_backend
        self.normalize_before = normalize_before
        self.gated_feed_forward = gated_feed_forward
        self.bias_free = bias_free
        self.token_types = token_types
        self.span_head = span_head
        self.question_token_id = question_token_id
        self.max_answer_length = max_answer_length
        self.max_answer_words = max_answer_words
        self.null_answer = null_answer
        super().__init__(pad_token_id=pad_token_id, **others)  # type: ignore[call-arg]

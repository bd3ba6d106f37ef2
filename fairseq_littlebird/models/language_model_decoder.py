"""What fairseq's language models and its generation ask of a decoder-only Transformer.

Legend: N sequences, L tokens, n new tokens, C hidden width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from fairseq.data import Dictionary
from fairseq.models import FairseqIncrementalDecoder
from torch import Tensor

from fairseq_littlebird.modules.causal_decoder import CausalDecoder, DecodingState
from fairseq_littlebird.modules.token_annotations import TokenAnnotations

STATE = "decoding"


class LanguageModelDecoder(FairseqIncrementalDecoder):
    """fairseq's side of a decoder; the output layer has the token embeddings for its weights.

    Args:
        transformer: token ids to hidden states.
        dictionary: of its tokens.
    """

    def __init__(self, transformer: CausalDecoder[Any], dictionary: Dictionary) -> None:
        super().__init__(dictionary)
        self.transformer = transformer

    def forward(
        self,
        prev_output_tokens: Tensor,
        encoder_out: Any = None,
        incremental_state: dict[str, Any] | None = None,
        features_only: bool = False,
        return_all_hiddens: bool = False,
        unpadded: Tensor | None = None,
        **unused: Any,
    ) -> tuple[Tensor, dict[str, Any]]:
        """
        Args:
            prev_output_tokens: <int64>[N, L], all tokens so far, padded on the right.
            encoder_out: fairseq's, not needed.
            incremental_state: of earlier calls: only the n tokens that none of them had are read.
            features_only: return hidden states instead of logits.
            return_all_hiddens: put the embeddings and every layer's output into ``extra["inner_states"]``.
            unpadded: <int64>[M], which of the [N · L] tokens are not padding; given, no device is asked for it.
        Returns:
            logits <float>[N, n, V], or hidden states, n = L without ``incremental_state``; and ``extra``.
        """
        x, extra = self.extract_features(
            prev_output_tokens,
            incremental_state=incremental_state,
            return_all_hiddens=return_all_hiddens,
            unpadded=unpadded,
        )
        return (x if features_only else self.output_layer(x)), extra

    def extract_features(
        self,
        prev_output_tokens: Tensor,
        encoder_out: Any = None,
        incremental_state: dict[str, Any] | None = None,
        return_all_hiddens: bool = False,
        unpadded: Tensor | None = None,
        **unused: Any,
    ) -> tuple[Tensor, dict[str, Any]]:
        """As :meth:`forward` with ``features_only``: hidden states <float>[N, n, C], and ``extra``."""
        states: list[Tensor] | None = [] if return_all_hiddens else None
        if incremental_state is None:
            x = self.transformer(prev_output_tokens, states=states, annotations=TokenAnnotations(unpadded=unpadded))
        else:
            state = self.decoding_state(incremental_state)
            x = self.transformer.extend(prev_output_tokens[:, state.count :], state)
        return x, {"attn": None, "inner_states": states}

    def output_layer(self, features: Tensor, **unused: Any) -> Tensor:
        """Logits <float>[N, n, V] of hidden states <float>[N, n, C]."""
        return F.linear(features, self.transformer.embeddings.tokens.weight)

    def decoding_state(self, incremental_state: dict[str, Any]) -> DecodingState[Any]:
        """What is kept of earlier calls; of none before the first."""
        kept = self.get_incremental_state(incremental_state, STATE)
        if kept is None:
            kept = {STATE: self.transformer.decoding_state()}
            self.set_incremental_state(incremental_state, STATE, kept)
        state: DecodingState[Any] = kept[STATE]
        return state

    def begin(self, incremental_state: dict[str, Any], state: DecodingState[Any]) -> None:
        """Goes on from tokens that were read outside of fairseq's search."""
        self.set_incremental_state(incremental_state, STATE, {STATE: state})

    def reorder_incremental_state(self, incremental_state: dict[str, Any], new_order: Tensor) -> None:
        """fairseq's hook: goes on with the sequences <int64>[N']."""
        self.decoding_state(incremental_state).reorder(new_order)

    def max_positions(self) -> int:
        """The learned positions, where there are any; otherwise no limit of its own."""
        config = self.transformer.config
        return config.max_positions if config.has_positions else 2**31

"""From token ids to what the first layer reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairseq_littlebird.attention.common.dropout import dropout
from fairseq_littlebird.input_error import InputError
from fairseq_littlebird.modules.config.encoder import EncoderConfig
from fairseq_littlebird.modules.norm import layer_norm


class Embeddings(nn.Module):
    """Token embeddings, learned positions where the encoder has them, a norm, and a projection where widths differ.

    ``context`` <float>[E], where the encoder has it, tells the context from the question.

    Args:
        config: sizes and switches.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        E, C = config.word_embed_dim or config.embed_dim, config.embed_dim
        self.dropout = config.dropout
        self.tokens = nn.Embedding(config.vocab_size, E, config.padding_idx)
        self.positions = nn.Embedding(config.max_positions, E) if config.has_positions else None
        self.context = nn.Parameter(torch.zeros(E)) if config.context_type else None
        self.norm: nn.Module = layer_norm(config, E)
        self.projection = nn.Linear(E, C, config.form.bias) if E != C else None

    def reset_parameters(self) -> None:
        """Normal tables with deviation 0.02, as BERT's; 0 for padding."""
        for table in (self.tokens, self.positions):
            if table is not None:
                nn.init.normal_(table.weight, std=0.02)
        with torch.no_grad():
            self.tokens.weight[self.tokens.padding_idx].zero_()

    def forward(self, tokens: Tensor, positions: Tensor | None = None, context_starts: Tensor | None = None) -> Tensor:
        """
        Args:
            tokens: <integer>[B, L].
            positions: <integer>[B, L] or None for 0 … L-1; read only where positions are learned.
            context_starts: <int64>[B], the first token of the context, or None where there is none.
        Returns:
            <float>[B, L, C].
        Raises:
            InputError: a position past the learned ones.
        """
        x = self.of_tokens(tokens)
        if self.positions is not None:
            self.check(tokens.shape[1] - 1 if positions is None else positions)
            if positions is None:
                positions = torch.arange(tokens.shape[1], device=tokens.device)
            x = x + self.positions(positions)
        if self.context is not None:
            L = tokens.shape[1]
            starts = tokens.new_full((1,), L) if context_starts is None else context_starts
            inside = torch.arange(L, device=tokens.device) >= starts[:, None]
            x = x + inside.unsqueeze(-1) * self.context
        x = dropout(self.norm(x), self.dropout, self.training)
        return x if self.projection is None else self.projection(x)

    def check(self, positions: Tensor | int) -> None:
        """Raises InputError for a position past the learned ones, where finding it waits for no device.

        Args:
            positions: <integer>[B, L], or the last.
        """
        count = self.positions.num_embeddings  # type: ignore[union-attr]
        if isinstance(positions, Tensor) and positions.device.type != "cpu":
            torch._assert_async((positions < count).all(), f"a position is past the {count} learned ones")
            return
        last = int(positions.max()) if isinstance(positions, Tensor) else positions
        if last >= count:
            raise InputError(f"position {last} is past the {count} learned ones; shorten the input")

    def of_tokens(self, tokens: Tensor) -> Tensor:
        """The table's rows of <integer>[B, L], <float>[B, L, E]."""
        rows: Tensor = self.tokens(tokens)
        return rows


class ScaledEmbeddings(Embeddings):
    """Token embeddings times √C, to which positions are added, without a norm (Vaswani et al., 2017; Pegasus).

    Args:
        config: sizes and switches.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.scale = config.embed_dim**0.5
        self.norm = nn.Identity()

    def of_tokens(self, tokens: Tensor) -> Tensor:
        return super().of_tokens(tokens) * self.scale

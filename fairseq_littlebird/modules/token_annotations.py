"""What a task says of its tokens, for encoders that treat some of them apart.

Legend: B batch, L tokens, N unpadded tokens of the whole batch, Q questions, M segments, G global tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class GlobalStructure(NamedTuple):
    """Global tokens that are not part of the text, and the tokens of the text that they stand for."""

    kinds: Tensor  # <int64>[B, G], the kind of each, from 0; -1 where there is none
    groups: Tensor  # <int64>[B, G], those of one group know their distances
    owners: Tensor  # <int64>[B, L, 2], the global tokens that each token belongs to, the innermost first; -1 for none
    mentions: Tensor  # <int64>[B, L], the global token of what each token mentions; -1 for none


class TokenAnnotations(NamedTuple):
    """None where the task does not say."""

    questions: Tensor | None = None  # <int64>[B, Q], where the [QUESTION] tokens stand; 0 where there is none
    context_starts: Tensor | None = None  # <int64>[B], where the context begins; before it stands the question
    segments: Tensor | None = None  # <int64>[B, M, 2], first and last token of sentences or paragraphs; 0 for none
    global_tokens: Tensor | None = None  # <bool>[B, L], the tokens that attend to all and are attended to by all
    most_global: int | None = None  # the most of them that a sequence may have, where that is known
    unpadded: Tensor | None = None  # <int64>[N], which of the [B · L] tokens are not padding, if they are counted
    lengths: Sequence[int] | None = None  # B, tokens up to the last unpadded one, if they are counted
    last_context_start: int | None = None  # the largest of ``context_starts``, where it is known
    is_counted: bool = True  # whether to count padding if ``unpadded`` is not given; an accelerator would have to wait
    structure: GlobalStructure | None = None  # of global tokens beside the text
    is_classification: bool = False  # whether token 0 stands for the whole sequence


NO_ANNOTATIONS = TokenAnnotations()

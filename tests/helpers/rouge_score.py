"""The package rouge-score, which ROUGE is compared with."""

from __future__ import annotations

import contextlib
import io

# its logging library keeps the error stream of its import, and closes it where another program sets up its own logging;
# that must not be pytest's
with contextlib.redirect_stderr(io.StringIO()):
    from rouge_score.rouge_scorer import RougeScorer

__all__ = ["RougeScorer"]

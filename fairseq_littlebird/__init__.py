"""LittleBird for fairseq: ``fairseq-train … --user-dir fairseq_littlebird``.

Without fairseq the equations (``attention``, ``modules``, ``heads``, ``objectives``) import and work alone.
"""

from importlib.util import find_spec
from typing import Any

if find_spec("fairseq") is not None:
    # --user-dir walks neither criterions nor, once this package is imported, anything else
    from fairseq_littlebird import registration  # noqa: F401

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``LittleBird``, loaded when it is asked for: the equations go without it."""
    if name != "LittleBird":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fairseq_littlebird.reader import LittleBird

    return LittleBird

"""LittleBird for fairseq: ``fairseq-train … --user-dir fairseq_littlebird``.

The equations (``attention``, ``modules``, ``heads``, ``objectives``) import and work alone. In a program that has
imported fairseq this package registers everything with it, as ``--user-dir`` needs; in others whatever uses fairseq
(``models``, ``data``, ``tasks``, ``cli``, …) does when it is imported, or ``fairseq_littlebird.registration`` itself.
"""

import sys
from typing import Any

from fairseq_littlebird.errors import one_line_errors

one_line_errors()  # in fairseq's commands and in ours alone, before all that takes time to import

if "fairseq" in sys.modules:
    # --user-dir walks neither criterions nor, once this package is imported, anything else
    from fairseq_littlebird import registration  # noqa: F401

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``LittleBird``, loaded when it is asked for: the equations go without it."""
    if name != "LittleBird":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fairseq_littlebird.reader import LittleBird

    return LittleBird

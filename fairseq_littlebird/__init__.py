"""LittleBird for fairseq: ``fairseq-train … --user-dir fairseq_littlebird``.

Importing this package alone loads nothing. The equations (``attention``, ``modules``, ``heads``, ``objectives``) need
only torch; ``register()`` registers everything with fairseq, as ``--user-dir`` does.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["LittleBird", "__version__", "register"]

if TYPE_CHECKING:
    from fairseq_littlebird.pipelines.littlebird import LittleBird as LittleBird
    from fairseq_littlebird.registration import register as register


def __getattr__(name: str) -> Any:
    """``LittleBird`` and ``register``, loaded when they are asked for, as they need fairseq."""
    if name not in ("LittleBird", "register"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fairseq_littlebird.registration import register

    if name == "register":
        return register
    register()
    from fairseq_littlebird.pipelines.littlebird import LittleBird

    return LittleBird

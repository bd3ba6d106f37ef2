"""LittleBird for fairseq: ``fairseq-train … --user-dir fairseq_littlebird``.

Without fairseq the equations (``attention``, ``modules``, ``heads``, ``objectives``) import and work alone.
"""

from importlib.util import find_spec

if find_spec("fairseq") is not None:
    # --user-dir walks neither criterions nor, once this package is imported, anything else
    from fairseq_littlebird import registration  # noqa: F401

__version__ = "0.1.0"

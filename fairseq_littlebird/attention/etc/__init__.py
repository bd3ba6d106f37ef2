"""Global-local attention with relative positions (ETC: Ainslie et al., 2020; BigBird-ETC without random keys)."""

from fairseq_littlebird.attention.etc.blockwise import etc_attention
from fairseq_littlebird.attention.etc.dense import dense_etc_attention

__all__ = ["dense_etc_attention", "etc_attention"]

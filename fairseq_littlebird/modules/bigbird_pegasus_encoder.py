"""The encoder of BigBird-Pegasus: BigBird-ITC's attention in Pegasus' layers (Zaheer et al., 2020, appendix E.5)."""

from __future__ import annotations

from typing import Any

from fairseq_littlebird.layer_norm import LayerNorm
from fairseq_littlebird.modules.bigbird_encoder import BigBirdEncoder
from fairseq_littlebird.modules.config.bigbird import BigBirdConfig
from fairseq_littlebird.modules.embeddings import Embeddings, ScaledEmbeddings


class BigBirdPegasusEncoder(BigBirdEncoder):
    """Norms before attention and feed forward, one at the end, no biases in attention, embeddings times √C.

    Args:
        config: sizes.
    """

    def __init__(self, config: BigBirdConfig) -> None:
        super().__init__(config, norm_order="pre", attention_bias=False)
        self.final_norm = LayerNorm(config.embed_dim, config.layer_norm_eps)

    def build_embeddings(self, config: Any) -> Embeddings:
        return ScaledEmbeddings(config)

"""fairseq's own RoBERTa behind the call of the other encoders."""

from __future__ import annotations

from argparse import Namespace

from fairseq.data import Dictionary
from fairseq.models.roberta.model import RobertaEncoder, base_architecture
from torch import Tensor, nn

from fairseq_littlebird.benchmarks.workload import PAD, Workload
from fairseq_littlebird.modules.size_names import FAIRSEQ


class FairseqRoberta(nn.Module):
    """Full attention as ``--arch roberta`` has it, with random weights.

    Args:
        workload: its sizes.
    """

    def __init__(self, workload: Workload) -> None:
        super().__init__()
        sizes = {FAIRSEQ[name]: value for name, value in workload.encoder_sizes().items()}
        args = Namespace(**sizes, max_positions=workload.length)
        base_architecture(args)  # leaves what is given
        tokens = Dictionary()
        for number in range(workload.vocabulary - len(tokens)):
            tokens.add_symbol(str(number))
        self.encoder = RobertaEncoder(args, tokens)
        self.encoder.lm_head = nn.Identity()  # unused

    def forward(self, tokens: Tensor, padding_mask: Tensor | None) -> Tensor:
        """<int64>[B, L] to <float>[B, L, C]."""
        if padding_mask is not None:  # which fairseq reads off the tokens
            tokens = tokens.masked_fill(padding_mask, PAD)
        hidden: Tensor = self.encoder.extract_features(tokens)[0]
        return hidden

"""The plugin's architectures by their names in the comparison: whole fairseq models under the masked-LM head.

Legend: B batch, L tokens, N masked tokens, V vocabulary.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
from torch import Tensor, nn

from fairseq_littlebird.benchmarks.peers import PEERS
from fairseq_littlebird.benchmarks.workload import SIZES, Workload
from fairseq_littlebird.modules.size_names import FAIRSEQ

LAYERS = {"tiny": 3, "minilm": 6, "base": 12, "large": 24}
FULL, ETC = "full", "bigbird-etc"
OF_PEERS, OF_GLOBALS = "transformers-", " G="  # before a peer's name; before the number of ETC's global tokens


class MaskedLanguageModel(nn.Module):
    """A fairseq model behind the call that all models of the comparison share."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, padding_mask: Tensor | None, masked: Tensor) -> Tensor:
        """
        Args:
            tokens: <int64>[B, L]; padding is read off them.
            padding_mask: unused.
            masked: <bool>[B, L], the N tokens to predict.
        Returns:
            scores <float>[N, V].
        """
        scores: Tensor = self.model(tokens, masked_tokens=masked)[0]
        return scores


def masked_lm(family: str, workload: Workload, **options: Any) -> MaskedLanguageModel:
    """``--arch`` as fairseq would build it, at the workload's sizes.

    Args:
        family: the architecture without its size, which is that of the workload's width, or base.
        workload: says sizes, layers, dropout and vocabulary.
        options: of this architecture alone.
    """
    sizes = workload.sizes
    named = (f"{family}_{name}" for name, of_name in SIZES.items() if of_name.width == sizes.width)
    arch = next((name for name in named if name in ARCH_CONFIG_REGISTRY), f"{family}_base")
    given = Namespace(
        **{FAIRSEQ[name]: value for name, value in workload.encoder_sizes().items()},
        max_positions=workload.length,
        **options,
    )
    ARCH_CONFIG_REGISTRY[arch](given)  # leaves what is given
    dictionary = Dictionary()
    for number in range(workload.vocabulary - len(dictionary)):
        dictionary.add_symbol(str(number))
    return MaskedLanguageModel(
        ARCH_MODEL_REGISTRY[arch].build_model(vars(given), Namespace(source_dictionary=dictionary))
    )


FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "littlebird": ("littlebird", ("pack_size", "block_size")),
    "bigbird-itc": ("bigbird_itc", ("block_size",)),
    ETC: ("bigbird_etc", ()),
    "longformer": ("longformer", ()),
    FULL: ("roberta_full", ()),
}
"""The architectures without their sizes, and which of the workload's sizes are options of theirs."""


def names(architectures: Sequence[str], global_tokens: Sequence[int], peers: Sequence[str]) -> list[str]:
    """What :func:`build` takes: ETC once for each number of global tokens, then the peers."""
    ours = [
        name + globals_
        for name in architectures
        for globals_ in ([f"{OF_GLOBALS}{count}" for count in global_tokens] if name == ETC else [""])
    ]
    return [*ours, *(f"{OF_PEERS}{peer}" for peer in peers)]


def build(name: str, workload: Workload) -> nn.Module:
    """A model of the comparison with random weights.

    Args:
        name: of ``FAMILIES``, ``bigbird-etc G=256``, or ``transformers-`` and one of ``PEERS``.
        workload: its sizes.
    """
    if name.startswith(OF_PEERS):
        return PEERS[name.removeprefix(OF_PEERS)](workload, masked_lm=True)
    title, _, count = name.partition(OF_GLOBALS)
    family, options = FAMILIES[title]
    sizes = {option: getattr(workload.sizes, option) for option in options}
    return masked_lm(family, workload, **sizes, **({"global_tokens": int(count)} if count else {}))

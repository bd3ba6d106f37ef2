"""What to say of a checkpoint whose encoder has other sizes than the model that it is to start."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from fairseq_littlebird.errors import UserError

LAYER = re.compile(r"encoder\.layers\.(\d+)\.")
SIZES = {
    "--encoder-embed-dim": (r"encoder\.layers\.0\.ffn_norm\.weight", 0),
    "--word-embed-dim": (r"encoder\.embeddings\.tokens\.weight", 1),
    "--encoder-ffn-embed-dim": (r"encoder\.layers\.0\.ffn\.fc2\.weight", 1),
    "--encoder-attention-heads": (r"encoder\.layers\.0\.attention\.slopes\.beta", 0),
    "--pack-size": (r"encoder\.pack", 0),
    "--max-positions": (r"encoder\.embeddings\.positions\.weight", 0),
}
"""The option that gives a size, the parameter that has it, and its dimension."""
SAME = {"--word-embed-dim": "--encoder-embed-dim"}
"""Not told where it is the same size as another."""


def check_sizes(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor], trained: bool = True) -> None:
    """Raises UserError where a model cannot load a checkpoint's parameters, in one line with the sizes that differ.

    Args:
        theirs: <any>, the checkpoint's parameters by name.
        ours: the model's.
        trained: whether the options of a training gave the model's sizes, and not the checkpoint itself.
    """
    if theirs.keys() == ours.keys() and all(theirs[key].shape == tensor.shape for key, tensor in ours.items()):
        return
    if not trained:
        what = f"parameters of another model, or of another version of it: it {_difference(theirs, ours)}"
        raise UserError(what, remedy="take the version that trained it, or train it again")
    there, here = sizes(theirs), sizes(ours)
    both = [option for option in there if option in here and there[option] != here[option]]
    if both:
        what = "the checkpoint has other sizes: " + ", ".join(f"{o} {there[o]}, not {here[o]}" for o in both)
        options = " ".join(f"{option} {there[option]}" for option in both)
        raise UserError(what, remedy=f"give the --arch that it was trained with, or {options}")
    what = f"the checkpoint is of another architecture: it {_difference(theirs, ours)}"
    raise UserError(what, remedy="give the --arch and the options that it was trained with")


def _difference(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> str:
    lacking, others = [key for key in ours if key not in theirs], [key for key in theirs if key not in ours]
    told = [f"lacks {len(lacking)} parameters such as {lacking[0]}"] if lacking else []
    told += [f"has {len(others)} others such as {others[0]}"] if others else []
    for key in ours:
        if key in theirs and theirs[key].shape != ours[key].shape:
            told.append(f"has {key} of {tuple(theirs[key].shape)}, not {tuple(ours[key].shape)}")
            break
    return " and ".join(told)


def sizes(state: Mapping[str, Tensor]) -> dict[str, int]:
    """The sizes that parameters have, by the option that gives them."""
    found = {"--encoder-layers": len({match[1] for key in state if (match := LAYER.match(key))})}
    for option, (pattern, dimension) in SIZES.items():
        for key, tensor in state.items():
            if re.fullmatch(pattern, key) and tensor.dim() > dimension:
                found[option] = tensor.shape[dimension]
    for option, other in SAME.items():
        if found.get(option) == found.get(other):
            found.pop(option, None)
    return found

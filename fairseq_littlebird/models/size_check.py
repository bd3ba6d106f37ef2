"""What to say of a checkpoint whose encoder has other sizes than the model that it is to start."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from fairseq_littlebird.errors import UserError

LAYER = re.compile(r"encoder\.layers\.(\d+)\.")
SIZES = {
    "--encoder-embed-dim": (r"encoder\.layers\.0\.attention_norm\.weight", 0),
    "--word-embed-dim": (r"encoder\.embeddings\.words\.weight", 1),
    "--encoder-ffn-embed-dim": (r"encoder\.layers\.0\.ffn\.fc1\.weight", 0),
    "--encoder-attention-heads": (r"encoder\.layers\.0\.attention\.slopes\.beta", 0),
    "--pack-size": (r"encoder\.pack", 0),
    "--max-positions": (r"encoder\.embeddings\.positions\.weight", 0),
}
"""The option that gives a size, the parameter that has it, and its dimension."""
SAME = {"--word-embed-dim": "--encoder-embed-dim"}
"""Not told where it is the same size as another."""


def check_sizes(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> None:
    """Raises UserError where a model cannot load a checkpoint's parameters, in one line with the sizes that differ.

    Args:
        theirs: <any>, the checkpoint's parameters by name.
        ours: the model's.
    """
    if theirs.keys() == ours.keys() and all(theirs[key].shape == tensor.shape for key, tensor in ours.items()):
        return
    trained, built = sizes(theirs), sizes(ours)
    both = [option for option in trained if option in built and trained[option] != built[option]]
    options = " ".join(f"{option} {trained[option]}" for option in both)
    if options:
        what = "has other sizes: " + ", ".join(f"{option} {trained[option]}, not {built[option]}" for option in both)
        raise UserError(f"the checkpoint {what}", remedy=f"give the --arch that it was trained with, or {options}")
    for key in ours:
        if key in theirs and theirs[key].shape != ours[key].shape:
            shapes = f"{tuple(theirs[key].shape)}, not {tuple(ours[key].shape)}"
            raise UserError(f"the checkpoint has other sizes: {key} is {shapes}", remedy=_REMEDY)
    lacking, others = [key for key in ours if key not in theirs], [key for key in theirs if key not in ours]
    told = [f"lacks {len(lacking)} parameters such as {lacking[0]}"] if lacking else []
    told += [f"has {len(others)} others such as {others[0]}"] if others else []
    raise UserError(f"the checkpoint is of another architecture: it {' and '.join(told)}", remedy=_REMEDY)


_REMEDY = "give the --arch and the options that it was trained with"


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

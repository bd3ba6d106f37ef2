"""What a warm start can write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fairseq_littlebird.errors import UserError


class Target(NamedTuple):
    """A model to write.

    Args:
        model: its name in fairseq's registry, and in those of its architectures.
        options: of the command line, those that it takes and not every model.
        state: of ``conversion.warm_start``, the function that makes its parameters.
    """

    model: str
    options: tuple[str, ...]
    state: str


BIGBIRD = ("block_size", "random_blocks", "random_attention", "random_seed", "global_blocks")
TARGETS = {
    "littlebird": Target(
        "littlebird", ("pack_size", "block_size", "positions", "no_window", "max_positions"), "littlebird_state"
    ),
    "full": Target("full_attention", (), "full_attention_state"),
    "bigbird_itc": Target(
        "bigbird_itc",
        (*BIGBIRD, "max_positions"),
        "full_attention_state",
    ),
    "bigbird_etc": Target("bigbird_etc", ("global_tokens", "local_radius", "max_distance"), "bigbird_etc_state"),
    "longformer": Target("longformer", ("attention_window", "attention_dilation", "max_positions"), "longformer_state"),
    "led": Target(
        "led",
        ("attention_window", "attention_dilation", "max_positions", "decoder_max_positions"),
        "longformer_state",
    ),
    "bigbird_roberta": Target(
        "bigbird_roberta",
        (
            *BIGBIRD,
            *("max_positions", "decoder_max_positions"),
        ),
        "full_attention_state",
    ),
    "bigbird_pegasus": Target(
        "bigbird_pegasus",
        (
            *BIGBIRD,
            *("max_positions", "decoder_max_positions"),
        ),
        "full_attention_state",
    ),
    "littlebird_seq2seq": Target(
        "littlebird_seq2seq",
        (
            *("pack_size", "block_size", "positions", "no_window", "max_positions"),
            *("decoder_max_positions", "cross_positions"),
        ),
        "littlebird_state",
    ),
}
"""By what ``--to`` calls them."""
SEQ2SEQ = ("led", "bigbird_roberta", "bigbird_pegasus", "littlebird_seq2seq")
"""Those of ``TARGETS`` that are encoder–decoders."""
WITHOUT_POSITIONS = ("full", "littlebird")
"""Those of ``TARGETS`` that a source with rotary positions can become."""
OPTIONS = sorted({option for target in TARGETS.values() for option in target.options})


def check_options(to: str, given: Mapping[str, Any]) -> None:
    """Raises UserError for options of the command line that the target does not take.

    Args:
        to: one of ``TARGETS``.
        given: options by name, those of ``OPTIONS`` that were given.
    """
    target = TARGETS[to]
    wrong = [name for name in OPTIONS if name in given and name not in target.options]
    if wrong:
        raise UserError(
            f"{', '.join(map(flag, wrong))} with --to {to}",
            remedy=f"leave it out: that model takes {', '.join(map(flag, target.options)) or 'none of these options'}",
        )


def flag(option: str) -> str:
    """An option as the command line has it."""
    return f"--{option.replace('_', '-')}"

"""Adam with a learning rate of their own for BiALiBi's slopes.

Adam moves each parameter by about the learning rate an update. At a rate that suits weights, slopes that have whole
tenths to go stay where they started; docs/results.md has the figures.
"""

# no postponed annotations: fairseq reads the types of the fields
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fairseq.optim import register_optimizer
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
from torch import nn

from fairseq_littlebird.errors import UserError


@dataclass
class LittleBirdAdamConfig(FairseqAdamConfig):
    slopes_lr_scale: float = field(
        default=200.0, metadata={"help": "learning rate of the slopes relative to that of the other parameters"}
    )


@register_optimizer("littlebird_adam", dataclass=LittleBirdAdamConfig)
class LittleBirdAdam(FairseqAdam):
    """fairseq's Adam over two groups: the slopes, without weight decay, and all other parameters.

    Args:
        cfg: the options.
        params: of the model.
    Raises:
        UserError: no parameter is a slope, or fairseq has flattened all of them into one.
    """

    def __init__(self, cfg: LittleBirdAdamConfig, params: Iterable[nn.Parameter]) -> None:
        slopes: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for parameter in params:
            (slopes if getattr(parameter, "param_group", "") == "slopes" else others).append(parameter)
        if not slopes:
            raise UserError(
                "--optimizer littlebird_adam finds no slopes among the parameters",
                remedy="with --fp16 add --fp16-no-flatten-grads; a model without BiALiBi takes adam",
            )
        super().__init__(cfg, [{"params": others}, {"params": slopes}])
        self.param_groups[1]["weight_decay"] = 0.0  # decay goes with the learning rate: it would win over the gradient
        self.set_lr(self.get_lr())

    def load_state_dict(self, state_dict: dict[str, Any], optimizer_overrides: dict[str, Any] | None = None) -> None:
        """Loads Adam's averages; what fairseq overrides for all groups is not meant for the slopes."""
        super().load_state_dict(state_dict, optimizer_overrides)
        self.param_groups[1]["weight_decay"] = 0.0
        self.set_lr(self.get_lr())

    def set_lr(self, lr: float) -> None:
        """Sets the learning rate of each group, from that of the weights."""
        others, slopes = self.param_groups
        others["lr"], slopes["lr"] = lr, lr * self.cfg.slopes_lr_scale

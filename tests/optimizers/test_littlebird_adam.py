"""The slopes' own learning rate."""

import pytest
import torch
from fairseq import optim
from omegaconf import OmegaConf
from torch import nn

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.optimizers.littlebird_adam import LittleBirdAdamConfig


@pytest.fixture
def parameters():
    weight, slope = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2))
    slope.param_group = "slopes"
    return [weight, slope]


def build(parameters, scale=40.0, weight_decay=0.0):
    cfg = LittleBirdAdamConfig(slopes_lr_scale=scale, weight_decay=weight_decay, lr=[0.01], tpu=False)
    return optim.build_optimizer(OmegaConf.merge(OmegaConf.structured(cfg), {"_name": "littlebird_adam"}), parameters)


def step(optimizer, parameters):
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    optimizer.zero_grad()


def test_slopes_move_that_much_farther(parameters):
    optimizer = build(parameters, scale=5.0)
    assert optimizer.get_lr() == 0.01
    step(optimizer, parameters)  # Adam's first step is the learning rate
    assert torch.allclose(1 - parameters[0], torch.tensor(0.01))
    assert torch.allclose(1 - parameters[1], torch.tensor(0.05))
    optimizer.set_lr(0.001)
    assert [group["lr"] for group in optimizer.param_groups] == [0.001, 0.005]


def test_a_scale_of_one_is_fairseqs_adam(parameters):
    usual = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    adam = optim.adam.FairseqAdam(OmegaConf.structured(optim.adam.FairseqAdamConfig(lr=[0.01], tpu=False)), usual)
    ours = build(parameters, scale=1.0)
    for _ in range(3):
        step(adam, usual), step(ours, parameters)
    assert all(torch.equal(a, b) for a, b in zip(usual, parameters, strict=True))


def test_the_scale_in_force_is_the_one_given_last(parameters):
    before = build(parameters)
    step(before, parameters)
    after = build(parameters, scale=2.0)
    after.load_state_dict(before.state_dict(), after.optimizer_config)
    assert [group["lr"] for group in after.param_groups] == [0.01, 0.02]
    assert all(after.optimizer.state[p]["step"] == 1 for p in parameters)


def test_slopes_do_not_decay(parameters):
    optimizer = build(parameters, weight_decay=0.1)
    for _ in range(2):
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict(), optimizer.optimizer_config)  # as on resuming
    assert (parameters[0] < 1).all()
    assert (parameters[1] == 1).all()


def test_half_precision_needs_separate_gradients(parameters):
    flat = nn.Parameter(torch.cat([parameter.detach() for parameter in parameters]))  # what fairseq makes of them
    with pytest.raises(UserError, match="--fp16-no-flatten-grads"):
        build([flat])
    separate = optim.FP16Optimizer.build_fp32_params(None, parameters, flatten=False)
    assert [len(group["params"]) for group in build(separate).param_groups] == [1, 1]

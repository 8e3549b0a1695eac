"""Matrices and convolutions take Muon's step in place; a saved state goes on as if never stopped."""

from __future__ import annotations

import copy

import torch
from torch import nn

from training.picturebook.optimiser import Optimiser


def network() -> nn.Module:
    torch.manual_seed(1)
    convolution = nn.Conv2d(16, 32, 3)
    convolution.weight.data = convolution.weight.data.contiguous(memory_format=torch.channels_last)
    return nn.Sequential(convolution, nn.Flatten(), nn.Linear(32, 16))


def learn(net: nn.Module, optimiser: Optimiser, steps: int) -> float:
    torch.manual_seed(2)
    given = torch.randn(64, 16, 3, 3).contiguous(memory_format=torch.channels_last)
    wanted = given.mean((2, 3))
    for _ in range(steps):
        loss = (net(given) - wanted).square().mean()
        torch.autograd.backward(loss)
        optimiser.step(1e-3)
    return float(loss.detach())


def test_a_network_of_convolutions_learns() -> None:
    net = network()
    optimiser = Optimiser([(net.parameters(), 1.0)])
    first = learn(net, optimiser, 1)
    assert learn(net, optimiser, 60) < first / 3


def test_what_was_saved_goes_on_as_if_never_stopped() -> None:
    net = network()
    optimiser = Optimiser([(net.parameters(), 1.0)])
    learn(net, optimiser, 5)
    again = network()
    again.load_state_dict(net.state_dict())
    other = Optimiser([(again.parameters(), 1.0)])
    other.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    learn(net, optimiser, 3)
    learn(again, other, 3)
    for one, two in zip(net.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_a_share_of_nothing_moves_nothing() -> None:
    net = network()
    before = copy.deepcopy(net.state_dict())
    learn(net, Optimiser([(net.parameters(), 0.0)]), 2)
    assert all(torch.equal(weight, before[name]) for name, weight in net.state_dict().items())

"""The loss of deep Q-learning. It is RLlib's, which takes five times as long over it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import huber_loss

from ..least_payments import taken


class Transitions(NamedTuple):
    """A batch of `n` transitions, each over several steps."""

    rows_t: torch.Tensor  # (n, D) what the agent sees
    actions_t: torch.Tensor  # (n,)
    returns_t: torch.Tensor  # (n,) discounted rewards until it sees ...
    rows_tpn: torch.Tensor  # (n, D) ... this
    discounts_tpn: torch.Tensor  # (n,) of its value; 0 where the episode terminated


class QLoss(NamedTuple):
    """The mean loss, the values (n,) of the actions, and the errors (n,) for the replay's priorities."""

    mean: torch.Tensor
    values: torch.Tensor
    errors: torch.Tensor


def q_loss(net: nn.Module, target: nn.Module, batch: Transitions, *, double: bool) -> QLoss:
    """Huber loss of Q(s, a) - y, with y = R + discount Q'(s', argmax_a' Q(s', a')) and Q' the averaged network.

    Not `double`, y has max_a' Q'(s', a') for the next state (van Hasselt et al. 2016, equations 2 to 4).
    """
    with torch.no_grad():
        worth = target(batch.rows_tpn)
        best = (net(batch.rows_tpn) if double else worth).argmax(dim=-1)
        wanted = batch.returns_t + batch.discounts_tpn * taken(worth, best)
    found = taken(net(batch.rows_t), batch.actions_t)
    values = found.detach()
    return QLoss(huber_loss(found, wanted), values, (values - wanted).abs())

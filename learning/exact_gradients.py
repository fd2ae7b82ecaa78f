"""Gradients of exact returns, in a game that fits in a table, and gradient ascent that looks ahead to the others'.

Agent i takes each action in each of its C_i situations with probabilities pi_i, the softmax of `logits[i]` (C_i, A - 1)
with a last logit of zero. The game never ends and is discounted; an agent's return from the start is

    V_i = d' (I - gamma P_pi)^-1 r_pi,i,

with d the chances of the starts, P_pi the transitions and r_pi,i its expected rewards under all policies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..equilibria.tables.table import Table

Logits = Sequence[torch.Tensor]  # of each agent, (C_i, A - 1) float64
Policies = Sequence[torch.Tensor]  # of each agent, (C_i, A) float64


class ExactReturns:
    """The agents' discounted returns (N,) from the start, as a differentiable function of their logits."""

    def __init__(self, table: Table, situations: np.ndarray, discount: float) -> None:
        """`situations` (S, N) are the indices of what each agent sees in each state."""
        self.discount = discount
        self.situations = torch.from_numpy(situations)
        self.actions = torch.from_numpy(table.actions)
        self.rewards = torch.from_numpy(table.rewards)
        self.start = torch.from_numpy(table.start)
        self.transitions = torch.from_numpy(_transitions(table))

    def __call__(self, logits: Logits) -> torch.Tensor:
        return self.of([probabilities(each) for each in logits])

    def of(self, policies: Policies) -> torch.Tensor:
        """The returns (N,) as a differentiable function of the probabilities themselves."""
        chances = torch.ones(self.rewards.shape[:2], dtype=torch.float64)  # (S, J)
        for i, each in enumerate(policies):
            chances = chances * each[self.situations[:, i]][:, self.actions[:, i]]
        following = torch.einsum("sj,sjt->st", chances, self.transitions)
        earned = torch.einsum("sj,sji->si", chances, self.rewards)
        endless = torch.eye(len(self.start), dtype=torch.float64) - self.discount * following
        values: torch.Tensor = self.start @ torch.linalg.solve(endless, earned)
        return values


def probabilities(logits: torch.Tensor) -> torch.Tensor:
    """(C, A): the softmax of logits (C, A - 1) with a last one of zero."""
    return _completed(logits).softmax(dim=-1)


def log_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """(C, A): the logarithms of the `probabilities`."""
    return _completed(logits).log_softmax(dim=-1)


def ascents(returns: ExactReturns, logits: Logits, order: int, look_ahead: float) -> list[torch.Tensor]:
    """The direction in which each agent moves its logits; differentiable in all logits.

    By `order` 0 it is the gradient of the agent's return. By order k it is the gradient of its return after all others
    have moved by `look_ahead` times their directions of order k - 1, through which it differentiates: agents of order 1
    shape the learning of agents of order 0, as LOLA does.
    """
    moved = list(logits)
    if order:
        before = ascents(returns, logits, order - 1, look_ahead)
        moved = [own + look_ahead * step for own, step in zip(logits, before, strict=True)]
    found = []
    for i, own in enumerate(logits):
        value = returns([*moved[:i], own, *moved[i + 1 :]])[i]
        found.append(torch.autograd.grad(value, own, create_graph=True)[0])
    return found


def _completed(logits: torch.Tensor) -> torch.Tensor:
    """(C, A): with the last logit of zero."""
    return torch.cat([logits, logits.new_zeros(len(logits), 1)], dim=-1)


def _transitions(table: Table) -> np.ndarray:
    """(S, J, S): the chance of each next state."""
    S, J, _ = table.rewards.shape
    chances = np.zeros((len(table.offsets) - 1, S))
    chances[table.distributions, table.successors] = table.probabilities
    return chances[table.following].reshape(S, J, S)

"""The cheapest contract on two outcomes that induces an action, by learned values (Ivanov et al. 2024, Algorithm 2)."""

from __future__ import annotations

import torch

OUTCOMES = 2


def least_payments_on_outcomes(
    q: torch.Tensor, chance: torch.Tensor, actions: torch.Tensor, nudge: float
) -> torch.Tensor:
    """The cheapest payments (n, 2) on outcomes that make `actions` (n,) best by a margin `nudge`, given `q` (n, A).

    Only x = b(1) - b(0) moves the agent. With p(a) the chance of outcome 1, every other action a bounds it:
    (p(a*) - p(a)) x >= q(a) - q(a*) + nudge. The cheapest x is the one nearest to 0; the smaller payment is 0.
    Where bounds contradict each other, which takes three actions or more, the upper bound is kept.
    """
    index = actions.unsqueeze(-1)
    p = chance[..., 1]
    apart = p.gather(-1, index) - p
    bound = (q - q.gather(-1, index) + nudge) / torch.where(apart == 0.0, 1.0, apart)
    least = bound.where(apart > 0.0, -torch.inf).amax(dim=-1)
    most = bound.where(apart < 0.0, torch.inf).amin(dim=-1)
    x = torch.minimum(least.clamp(min=0.0), most)
    return torch.stack([(-x).clamp(min=0.0), x.clamp(min=0.0)], dim=-1)


def expected(values: torch.Tensor, chance: torch.Tensor) -> torch.Tensor:
    """The expectation (n, A), after every action, of the outcomes' `values`, (n, 2) or for each action (n, A, 2)."""
    return (chance * (values if values.ndim == chance.ndim else values.unsqueeze(-2))).sum(dim=-1)

"""A principal's money without its knowledge: so much an episode, spread evenly over the agents."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import configuration


@configuration
class SpreadBudget(Mechanism):
    """Agent `i` earns `r_i + B / (N H)` in each of H steps, or `r_i + (B / V) max(W, 0) / N`. Payments of a principal.

    The principal spends the budget `B` an episode, of which each of the N agents gets the same, whoever did what. It is
    the control of a learned principal that pays as much: `budget: {from: principal-dqn/dqn.payment}`.

    A sum that is certain and split evenly comes to `B / N` for each agent whatever anybody does, by whichever rule it
    is handed out. Nobody is given a reason to do anything for it, and the simplest such rule is a lump at every step of
    the horizon: agents should play as selfish ones do. The only incentive in an even split is that a larger welfare
    brings a larger sum, as in `funded-share`. So the other control pays a share of the positive welfare `W` of each
    step, and pays `B` on average: the share is `B / V`, with `V` the positive welfare of an episode, as found by a
    pilot: `welfare: {from: funded-share/same.paid_welfare}`. Where agents answer it by more or less than `V`, the
    payment differs from `B` by as much. Ours.

    A game that ends before its horizon pays less than the lump of all steps.
    """

    budget: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """B, what is paid in an episode to all agents together, in reward."""

    welfare: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """V, the sum of the positive welfares of an episode's steps that is expected. Without it: a lump at every step."""

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        rewards = transition.rewards
        B, N = rewards.shape
        if self.welfare is None:
            paid = np.full((B, 1), self.budget / self.game.horizon)
        else:
            paid = self.budget / self.welfare * np.maximum(rewards.sum(axis=1, keepdims=True), 0)
        payments = np.broadcast_to(paid / N, rewards.shape).astype(np.float32)
        return Ledger.zeros(B, N)._replace(payments=payments), memory

"""Everyone gets a constant share of the welfare, whoever earned it: the agents pay it, or a principal does."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import configuration
from ..core.search_space import Range, SearchSpace

Share = Annotated[float, Field(ge=0, le=1)]


@configuration
class RedistributedShare(Mechanism):
    """Agent `i` earns `(1 - p) r_i + p W / N`, with `W = sum_j r_j` the welfare of the step. Transfers: sum to zero.

    Each agent that earned more pays each agent that earned less: `i` pays `(p / N) max(r_i - r_j, 0)` to `j`. That
    comes to the same, holds for negative rewards too, and never sends money both ways. `p = 0` is selfish, `p = 1` is
    an equal split. The mechanism is the symmetric transfer of Willis and Luck 2023 with `s = 1 - p (N - 1) / N`, and
    the baseline of Ivanov et al. 2024.
    """

    share: Share = 0.5
    """p, the share of every reward that is pooled and split evenly."""

    tuned: ClassVar[SearchSpace] = {"share": Range(0.05, 1.0)}

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        rewards = transition.rewards
        advantage = rewards[:, :, None] - rewards[:, None, :]  # of the payer (axis 1) over the payee (axis 2)
        transfers = self.share / rewards.shape[1] * np.maximum(advantage, 0)
        return Ledger.zeros(*rewards.shape)._replace(transfers=transfers), memory


@configuration
class FundedShare(Mechanism):
    """Agent `i` earns `r_i + p max(W, 0) / N`, with `W = sum_j r_j` the welfare of the step. Payments of a principal.

    This is the constant share of a principal with money of its own. In a step of positive welfare the principal pays
    the share `p` of the welfare, so it can be compared with a learned principal that spends as much. Ours.
    """

    share: Share = 0.5
    """p, the principal's payment as a share of the welfare of each step."""

    tuned: ClassVar[SearchSpace] = {"share": Range(0.02, 1.0)}

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        rewards = transition.rewards
        welfare = rewards.sum(axis=1, keepdims=True)
        payments = np.broadcast_to(self.share * np.maximum(welfare, 0) / rewards.shape[1], rewards.shape)
        return Ledger.zeros(*rewards.shape)._replace(payments=payments), memory

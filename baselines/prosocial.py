"""Agents that care for each other: what cooperation is worth without a conflict of interest."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import configuration
from ..core.search_space import Range, SearchSpace


@configuration
class Joint(Mechanism):
    """Agent `i` learns from `sum_j r_j`, the welfare of the step. Shaping: no money moves.

    The agents are a team without a conflict of interest: only learning separates it from the social optimum.
    """

    common_reward: ClassVar[bool] = True

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        return caring(transition, 1.0), memory


@configuration
class Prosocial(Mechanism):
    """Agent `i` learns from `r_i + eta sum_{j != i} r_j`. Shaping: no money moves.

    `eta = 0` is selfish, `eta = 1` is joint.
    """

    eta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.5
    """The weight of another agent's reward, relative to one's own."""

    tuned: ClassVar[SearchSpace] = {"eta": Range(0.05, 1.0)}

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        return caring(transition, self.eta), memory


def caring(transition: Transition, eta: float) -> Ledger:
    """The ledger whose shaping is `eta sum_{j != i} r_j`."""
    rewards = transition.rewards
    others = rewards.sum(axis=1, keepdims=True) - rewards
    return Ledger.zeros(*rewards.shape)._replace(shaping=eta * others)

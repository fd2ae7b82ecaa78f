"""`advantage-alignment`: PPO agents that shape each other's learning by aligning their advantages.

An agent makes likelier what is good for the others while their interaction has been good for itself, and less likely
while it has been bad. So it answers in kind, as LOLA's agents do, but needs neither a table of the game nor derivatives
of the others' learning (Duque et al. 2024, arXiv:2406.14662). It is a rival of contracts without principal or payments;
while they learn, agents must know each other's advantages.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from ...contracts.mechanism import Mechanism
from ...core.config import UsageError, configuration
from ..returns import advantages
from ..trained import Col, Columns, Rollout
from .ppo import NEXT_VALUES, PPO


@configuration
class AdvantageAlignment(PPO):
    """PPO with advantages that are aligned with the others', so that agents learn to answer in kind:
    A*_i,t = A_i,t + `beta` (sum_{k<t} discount^(t-k) A_i,k) sum_{j!=i} A_j,t, over the past steps k of the episode.

    Proximal advantage alignment (Duque et al. 2024); with more than two agents, which the formula leaves open, the
    others' advantages are added up. The authors' code takes the mean of the past instead, without a discount. How
    advantages are estimated is left open, too. Here both factors of the product are of one step, less their mean and in
    units of their deviation over the rollout, and the product is in units of A_i, so `beta` has no unit. A generalised
    advantage of a past step would hold what is earned now as well; and a critic that has just begun to learn gets the
    mean wrong, makes every past look bad, and agents learn to do each other harm. A past begins with the rollout, where
    its episode began before.

    Policies have no memory, so agents answer in kind only where the game shows them what was done: the iterated
    dilemma does, the Coin Game does not. In a mixture an agent without a critic is taken to expect nothing.
    """

    beta: Annotated[float, Field(ge=0.0)] = 1.0
    """Weight of the alignment; 0 is PPO."""

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a game with one agent, which has nobody to align with."""
        if len(mechanism.game.agents) < 2:
            raise UsageError(
                f"advantage-alignment aligns agents with each other, and {type(mechanism.game).__name__} has 1 agent: "
                "choose ppo, or a game with 2 or more"
            )

    def _columns(self, rollout: Rollout) -> Columns:
        columns = super()._columns(rollout)
        own = columns[Col.ADVANTAGES].reshape(rollout.earned.shape)
        one_step = advantages(
            rollout.earned.astype(np.float32), rollout.extras[Col.VALUES], rollout.extras[NEXT_VALUES],
            rollout.terminated, rollout.ended, self.discount, 0.0,
        )  # fmt: skip
        weighed = self.beta * own.std(axis=(0, 1)) * alignment(standardised(one_step), rollout.ended, self.discount)
        return {**columns, Col.ADVANTAGES: (own + weighed).reshape(columns[Col.ADVANTAGES].shape)}


def alignment(advantages: np.ndarray, ended: np.ndarray, discount: float) -> np.ndarray:
    """(sum_{k<t} discount^(t-k) A_i,k) sum_{j!=i} A_j,t (T, B, N) of advantages (T, B, N), within episodes.

    `ended` (T, B) says after which steps a new episode begins. Duque et al. 2024, the term of opponent shaping.
    """
    past = np.zeros_like(advantages)
    for t in range(1, len(past)):
        past[t] = discount * ~ended[t - 1][:, None] * (past[t - 1] + advantages[t - 1])
    return past * (advantages.sum(axis=-1, keepdims=True) - advantages)


def standardised(advantages: np.ndarray) -> np.ndarray:
    """Each agent's advantages (T, B, N) with mean 0 and deviation 1."""
    deviation = np.maximum(1e-4, advantages.std(axis=(0, 1)))
    return (advantages - advantages.mean(axis=(0, 1))) / deviation

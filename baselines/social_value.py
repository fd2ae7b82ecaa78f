"""Agents that care how rewards are shared: each prefers a certain angle between its own and the others' reward."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import configuration
from ..core.search_space import Range, SearchSpace

NOTHING = 1e-6  # rewards up to which nothing counts as earned


@configuration
class SocialValueOrientation(Mechanism):
    """Agent `i` learns from `r_i - w |theta_i - theta*|`. Shaping: no money moves.

        theta_i = atan2(mean_{j != i} r_j, r_i)        the angle of the step's rewards

    0 degrees means everything for oneself, 45 an equal share, 90 everything for the others. McKee et al. 2020, "Social
    diversity and social preferences in mixed-motive reinforcement learning" (arXiv:2002.02325). The difference is in
    radians and goes around the circle, so it is at most pi. One public implementation multiplies it by N; the paper
    does not.

    Where neither the agent nor the others earn anything there is no angle, and nothing is subtracted: atan2(0, 0) = 0
    would charge every idle step as though the agent had kept everything. The paper leaves this open. It also leaves
    open the weight; its default is that of public code.
    """

    ideal: Annotated[float, Field(ge=-180, le=180)] = 45.0
    """theta*, in degrees, the same for all agents."""

    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.5
    """w, in reward per radian."""

    tuned: ClassVar[SearchSpace] = {"ideal": Range(15.0, 75.0), "weight": Range(0.02, 5.0, log=True)}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.game.agents) < 2:
            raise ValueError(
                f"it is about others' rewards; {type(self.game).__name__} has one agent, choose another game"
            )
        return self

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        own = transition.rewards.astype(np.float64)
        N = own.shape[1]
        others = own @ (1.0 - np.eye(N)) / (N - 1)
        apart = abs(np.arctan2(others, own) - np.radians(self.ideal))
        apart = np.minimum(apart, 2 * np.pi - apart) * (np.hypot(own, others) > NOTHING)
        return Ledger.zeros(*transition.rewards.shape)._replace(
            shaping=(-self.weight * apart).astype(np.float32)
        ), memory

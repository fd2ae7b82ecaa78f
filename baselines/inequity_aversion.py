"""Agents that dislike inequity, to their own and to others' disadvantage (Hughes et al. 2018)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import configuration
from ..core.search_space import Range, SearchSpace

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=1)]


@configuration
class InequityAversion(Mechanism):
    """Agent `i` learns from its reward minus a cost of inequity. Shaping: no money moves.

        r_i - envy / (N - 1) sum_j max(e_j - e_i, 0) - guilt / (N - 1) sum_j max(e_i - e_j, 0)
        e_t = discount * smoothing * e_{t-1} + r_t        (e = 0 before an episode's first step)

    Both terms are subtracted: having less than another agent hurts, and so does having more. `memory` is `e` (B, N).
    Hughes et al. 2018, "Inequity aversion improves cooperation in intertemporal social dilemmas".
    """

    envy: Weight = 5.0
    """alpha: the weight of disadvantageous inequity."""

    guilt: Weight = 0.05
    """beta: the weight of advantageous inequity."""

    discount: Rate = 0.99
    """gamma, per step."""

    smoothing: Rate = 0.975
    """lambda: the share of the smoothed rewards that each step keeps, beside the discount. The default is ours."""

    tuned: ClassVar[SearchSpace] = {"envy": Range(0.1, 10.0, log=True), "guilt": Range(0.005, 5.0, log=True)}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.game.agents) < 2:
            raise ValueError(f"agents compare what they earn; {type(self.game).__name__} has one, choose another game")
        return self

    def start(self, keys: np.ndarray) -> np.ndarray:
        return np.zeros((len(keys), len(self.game.agents)), np.float32)

    def settle(self, memory: np.ndarray, transition: Transition) -> tuple[Ledger, np.ndarray]:
        smoothed = self.discount * self.smoothing * memory + transition.rewards
        lead = smoothed[:, :, None] - smoothed[:, None, :]  # of agent i (axis 1) over agent j (axis 2)
        behind, ahead = np.maximum(-lead, 0).sum(axis=2), np.maximum(lead, 0).sum(axis=2)
        shaping = -(self.envy * behind + self.guilt * ahead) / (smoothed.shape[1] - 1)
        return Ledger.zeros(*transition.rewards.shape)._replace(shaping=shaping), smoothed

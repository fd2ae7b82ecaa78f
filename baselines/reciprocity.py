"""Agents that are as nice as another one was: reciprocity by what can be verified (Eccles et al. 2019)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import configuration, did_you_mean
from ..core.search_space import Range, SearchSpace

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Signed = Annotated[float, Field(allow_inf_nan=False)]


@configuration
class Reciprocity(Mechanism):
    """Imitators learn from their reward minus how far they are from as nice as the innovators. Shaping: no money moves.

        r_i - weight (n_i - m_i)^2,  n_t = kept * n_{t-1} + sum_k nice_k f_ik    (n = 0 before an episode's first step)

    How nice agent i is, `n_i`, is what it did of the verifiable facts `f_ik`, with a memory that fades; `m_i` is the
    mean of the innovators, or of all others where there are none. Innovators, the first agents, are selfish, and learn
    that others answer in kind. `memory` is `n` (B, N).

    Eccles et al. 2019, "Learning reciprocity in complex sequential social dilemmas" (arXiv:1903.08082), who measure
    niceness by learned values too, and have one innovator.
    """

    weight: Weight = 0.1
    """How much it hurts to be more or less nice, squared."""
    kept: Annotated[float, Field(ge=0, le=1)] = 0.9
    """The share of its niceness that an agent is remembered for after a step."""
    nice: dict[str, Signed] = Field(default_factory=dict)
    """How nice each named fact is, once; below 0 where it is not. Without any, all facts of the game are worth 1."""
    innovators: int = Field(default=1, ge=0)
    """How many of the agents, the first ones, are selfish."""

    tuned: ClassVar[SearchSpace] = {"weight": Range(0.001, 1.0, log=True), "kept": Range(0.0, 0.99)}

    @model_validator(mode="after")
    def _check(self) -> Self:
        game, N = self.game, len(self.game.agents)
        for name in self.nice:
            if name not in game.verifiable:
                raise ValueError(did_you_mean("verifiable fact", name, game.verifiable))
        if N < 2 or not game.verifiable:
            raise ValueError(
                f"agents answer what others can be seen to do; {type(game).__name__} has {N} agents and "
                f"{len(game.verifiable)} verifiable facts: choose another game"
            )
        if self.innovators >= N:
            raise ValueError(
                f"innovators: {self.innovators} of {N} agents leave nobody to imitate them; give at most {N - 1}"
            )
        return self

    def start(self, keys: np.ndarray) -> np.ndarray:
        return np.zeros((len(keys), len(self.game.agents)))

    def settle(self, memory: np.ndarray, transition: Transition) -> tuple[Ledger, np.ndarray]:
        worth = [self.nice.get(name, 0.0) if self.nice else 1.0 for name in self.game.verifiable]
        niceness = self.kept * memory + self.game.facts(transition.events) @ np.array(worth)
        N, first = niceness.shape[1], self.innovators
        if first:
            answered = niceness[:, :first].mean(axis=1, keepdims=True)
        else:
            answered = (niceness.sum(axis=1, keepdims=True) - niceness) / (N - 1)
        shaping = -self.weight * (niceness - answered) ** 2
        shaping[:, :first] = 0.0
        return Ledger.zeros(*transition.rewards.shape)._replace(shaping=shaping.astype(np.float32)), niceness

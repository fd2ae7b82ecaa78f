"""Mutual acknowledgment token exchange: agents ask each other for approval and learn from the answers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import configuration
from ..core.search_space import Range, SearchSpace


@configuration
class Mate(Mechanism):
    """Agents ask each other for approval of what went well, and learn from tokens `x`. Shaping: no money moves.

    In each step agent `i` sends a request to all others if its situation did not get worse, that is if `m_i >= 0`, with

        m_i = r_i + discount V_i(s') - V_i(s)        V_i: the value estimate of its own critic; 0 after the end

    An agent `j` that is asked gains `x`, however many ask it. It then answers each of them with `x` if `m_j + x >= 0`,
    else with `-x`. An agent that asked gains the smallest of the answers. Tokens are made from nothing, so they do not
    sum to zero. Phan et al. 2022, "Emergent cooperation from mutual acknowledgment exchange" (AAMAS).

    In the paper each game has neighbourhoods of its own; here every agent is a neighbour of every other. The mechanism
    needs agents with value estimates: they learn by dqn (the value of the best action) or by ppo, and the learning loop
    plays them, not a PettingZoo view.
    """

    needs_values: ClassVar[bool] = True

    token: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """x, in reward."""

    discount: Annotated[float, Field(ge=0, le=1)] = 0.99
    """The discount of V per step: the learner's."""

    tuned: ClassVar[SearchSpace] = {"token": Range(0.1, 5.0, log=True)}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.game.agents) < 2:
            raise ValueError(f"agents ask each other; {type(self.game).__name__} has one, choose another game")
        return self

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        rewards, values, following = transition.rewards, transition.values, transition.next_values
        assert values is not None
        assert following is not None  # the loop sees to both
        improved = rewards + self.discount * np.where(transition.terminated[:, None], 0.0, following) - values
        requests = improved >= 0.0
        asked = requests.sum(axis=1, keepdims=True) - requests > 0  # by another
        answers = np.where(improved + self.token >= 0.0, self.token, -self.token)
        least = answers.min(axis=1, keepdims=True)  # of the others: who asks would itself answer `x`
        shaping = self.token * asked + np.where(requests, least, 0.0)
        return Ledger.zeros(*rewards.shape)._replace(shaping=shaping.astype(np.float32)), memory

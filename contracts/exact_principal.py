"""A principal that knows the equilibrium: exact contracts, under which fresh learners can be trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..envs.config import UsageError
from ..envs.core import Game
from .core import Decisions
from .equilibrium import Solution
from .tabulate import tabular


class ExactPrincipal:
    """Recommends and promises as a stationary solution does, with a margin `nudge` wherever a payment is due.

    Least payments leave an agent indifferent; the nudge makes it prefer to follow, and costs nothing where following
    is a best response anyway.
    """

    def __init__(self, game: Game, solution: Solution, nudge: float = 0.0) -> None:
        if solution.actions.ndim != 2:
            raise UsageError("a principal's solution must be stationary: solve with a discount, such as 0.99")
        if not nudge >= 0.0:
            raise UsageError(f"nudge: got {nudge}, allowed is 0 or more")
        self.game = tabular(game)
        self.recommended = solution.actions.astype(np.int64)  # (S, N)
        self.promised = (solution.promised + nudge * (solution.promised > 0.0)).astype(np.float32)  # (S, N)

    def __call__(self, game: Game, state: Any) -> Decisions:
        index = self.game.index(state)
        return Decisions(self.recommended[index], self.promised[index])

"""A principal that offers exact equilibrium contracts, under which fresh agents learn."""

from __future__ import annotations

from typing import Self

import numpy as np

from ..contracts.mechanism import Decisions
from ..core.checkpoint import Checkpoint, Saved
from ..core.config import UsageError
from ..envs.game import Game
from .solve import Solution
from .tables.table import tabular


class ExactPrincipal(Saved):
    """Recommends and promises as a stationary solution does, with a margin `nudge` on every positive payment.

    Least payments leave an agent indifferent; the nudge makes it prefer obedience, and costs nothing where obedience
    is a best response without payment. `base_pay` is paid for following everywhere. What the solution promises may
    also be (S, N, A^(N-1)), contingent on what the others do (`contingent_payments`).

    Where the solution abstains, it recommends each agent's most probable action in the mixed equilibrium and promises
    nothing. An agent cannot be told to mix: obedience to all of these recommendations is not the equilibrium, and the
    solution's value is reached by agents that mix there.
    """

    def __init__(self, solution: Solution, nudge: float = 0.0, base_pay: float = 0.0) -> None:
        if solution.actions.ndim != 2:
            raise UsageError("a principal's solution must be stationary: solve with a discount, such as 0.99")
        if not nudge >= 0.0:
            raise UsageError(f"nudge: got {nudge}, allowed is 0 or more")
        if not base_pay >= 0.0:
            raise UsageError(f"base_pay: got {base_pay}, allowed is 0 or more")
        self._decide(solution.actions, solution.promised + nudge * (solution.promised > 0.0) + base_pay)

    def _decide(self, recommended: np.ndarray, promised: np.ndarray) -> None:
        self.recommended = recommended.astype(np.int64)  # (S, N)
        self.promised = promised.astype(np.float32)  # (S, N) or (S, N, A^(N-1))

    def __call__(self, game: Game, state: object) -> Decisions:
        index = tabular(game).index(state)
        return Decisions(self.recommended[index], self.promised[index])

    def checkpoint(self) -> Checkpoint:
        arrays: dict[str, np.ndarray] = {"recommended": self.recommended, "promised": self.promised}
        return Checkpoint({"states": len(self.recommended)}, arrays)

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        principal = cls.__new__(cls)
        principal._decide(checkpoint.arrays["recommended"], checkpoint.arrays["promised"])
        return principal

"""A principal that pays on outcomes, as a table: what is kept of those that learn without networks."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ...contracts.mechanism import Decisions
from ...core.checkpoint import Checkpoint, Saved
from ...envs.game import Game
from ...equilibria.tables.table import tabular


class OutcomeTable(Saved):
    """A frozen principal: the action that it induces in every state (S,), and what each outcome pays there (S, K)."""

    def __init__(self, induced: np.ndarray, payments: np.ndarray) -> None:
        self.induced, self.payments = induced, payments.astype(np.float32)

    def __call__(self, game: Game, state: Any) -> Decisions:
        index = tabular(game).index(state)
        return Decisions(self.induced[index][:, None], self.payments[index][:, None])

    def checkpoint(self) -> Checkpoint:
        return Checkpoint({}, {"induced": self.induced, "payments": self.payments})

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        return cls(**checkpoint.arrays)

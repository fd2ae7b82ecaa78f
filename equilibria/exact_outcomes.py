"""The subgame-perfect principal of a game with hidden actions, as a principal that loops and learners can ask."""

from __future__ import annotations

import numpy as np

from ..contracts.mechanism import Decisions
from ..envs.game import Game
from .principal.hidden_actions import subgame_perfect_contracts
from .tables.table import tabular
from .tables.tabulate import tabulate


class ExactOutcomePrincipal:
    """Induces the subgame-perfect principal's actions by the least payments on outcomes and a margin, `nudge`.

    Without a nudge the agent is indifferent; the default only outweighs the rounding of single precision.
    """

    def __init__(self, game: Game, nudge: float = 1e-4) -> None:
        contracts = subgame_perfect_contracts(tabulate(game), game.horizon, nudge=nudge)
        states = tabular(game).representatives()
        here = states.t, np.arange(len(states.t))  # a state tells its step
        self.induced, self.payments = contracts.induced[here], contracts.payments[here].astype(np.float32)

    def __call__(self, game: Game, state: object) -> Decisions:
        index = tabular(game).index(state)
        return Decisions(self.induced[index][:, None], self.payments[index][:, None])

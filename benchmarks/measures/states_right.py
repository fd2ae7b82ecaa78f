"""Action accuracy in games with hidden actions: how often the agent acts as the exact principal induces."""

from __future__ import annotations

import numpy as np

from ...contracts.loop import Act, Principal
from ...contracts.mechanism import Mechanism
from ...envs.game import Game, hides_actions
from ...equilibria.principal.hidden_actions import subgame_perfect_contracts
from ...equilibria.tables.table import tabular
from ...equilibria.tables.tabulate import tabulate
from .audit import greedy


def states_right(game: Game, mechanism: Mechanism, principal: Principal | None, policy: Act) -> float | None:
    """The share of all states, each counted once, in which `policy` does what the exact principal induces.

    None for a game without hidden actions.
    """
    if not hides_actions(game):
        return None
    states = tabular(game).representatives()
    actions = greedy(game, mechanism, principal(game, states) if principal else None, policy)
    wanted = subgame_perfect_contracts(tabulate(game), game.horizon).induced[states.t, np.arange(len(actions))]
    return float((actions[:, 0] == wanted).mean())

"""Action accuracy in games with hidden actions: how often the agent acts as the exact principal induces."""

from __future__ import annotations

import numpy as np

from ...contracts.loop import Act, Principal
from ...contracts.mechanism import Mechanism
from ...core.config import UsageError
from ...envs.game import Game, hides_actions
from ...equilibria.principal.hidden_actions import subgame_perfect_contracts
from ...equilibria.tables.table import tabular
from ...equilibria.tables.tabulate import tabulate
from .audit import greedy


def states_right(game: Game, mechanism: Mechanism, principal: Principal | None, policy: Act) -> float | None:
    """The share of all states, each counted once, in which `policy` does what the exact principal induces.

    None for a game without hidden actions, and for an agent that draws what it does.
    """
    if not hides_actions(game):
        return None
    states = tabular(game).representatives()
    try:
        actions = greedy(game, mechanism, principal(game, states) if principal else None, policy)
    except UsageError:
        return None
    wanted = subgame_perfect_contracts(tabulate(game), game.horizon).induced[states.t, np.arange(len(actions))]
    return float((actions[:, 0] == wanted).mean())

"""Action accuracy in games with hidden actions: how often the agent acts as the exact principal induces."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from ...contracts.loop import Act, Principal
from ...contracts.mechanism import Mechanism
from ...contracts.outcomes import OutcomeContract
from ...core.config import UsageError
from ...envs.game import Game, hides_actions
from ...equilibria.principal.hidden_actions import best_response, contracts_of, subgame_perfect_contracts
from ...equilibria.tables.table import tabular
from ...equilibria.tables.tabulate import tabulate
from .audit import greedy


def states_right(game: Game, mechanism: Mechanism, principal: Principal | None, policy: Act) -> dict[str, float | None]:
    """The shares of all states, each counted once, in which an agent does what the exact principal induces, by column.

    `states_right` is that of the run's `policy`. Under a principal that pays on outcomes, `followed_states_right` is
    that of an agent that does as recommended, which judges the principal's decisions, and `best_states_right` that of
    one that best-responds to the contracts, as in the paper's protocol (Ivanov et al. 2024, appendix D.1), which judges
    its payments too. None for a game without hidden actions, and for a policy that draws what it does.
    """
    found: dict[str, float | None] = dict.fromkeys(("states_right", "followed_states_right", "best_states_right"))
    if not hides_actions(game):
        return found
    table, states = tabulate(game), tabular(game).representatives()
    wanted = _here(subgame_perfect_contracts(table, game.horizon).induced, states.t)
    decisions = principal(game, states) if principal else None
    with suppress(UsageError):  # it draws what it does
        found["states_right"] = _share(greedy(game, mechanism, decisions, policy)[:, 0], wanted)
    if principal is not None and isinstance(mechanism, OutcomeContract):
        contracts = contracts_of(principal, game)
        found["followed_states_right"] = _share(_here(contracts.induced, states.t), wanted)
        found["best_states_right"] = _share(_here(best_response(table, contracts).actions, states.t), wanted)
    return found


def _here(actions: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(S,) those of the `actions` (T, S) at the steps `t` (S,) that the states tell."""
    return actions[t, np.arange(len(t))]


def _share(actions: np.ndarray, wanted: np.ndarray) -> float:
    return float((actions == wanted).mean())

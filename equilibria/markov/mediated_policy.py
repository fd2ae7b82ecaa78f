"""What a mediator can do without money who plays for agents that delegate, stage by stage.

In the stage game of every state, given the values of what follows, the best mediated equilibrium is taken
(`best_mediated_equilibrium`), by backward induction over the finite horizon: an agent that does not delegate in a step
is held down in that step, and may delegate again in the next. As with the selfish rules it is a rule of selection, not
a bound: a mediator that remembers who did not delegate could punish for longer.

Linear programmes are solved for each state and step, so this is for small games (`correlated_policy.is_small`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..normal_form.mediated_equilibrium import best_mediated_equilibrium
from ..tables.table import Table
from ..tolerances import CHANCE
from .correlated_policy import is_small, returns_of
from .stage_games import expected


class MediatedPolicy(NamedTuple):
    """What a mediator plays, evaluated over the undiscounted horizon while all delegate."""

    chances: np.ndarray  # (T, S, J) float64 of joint actions where all delegate
    threats: np.ndarray  # (T, S, N, A^(N-1)) of the others' joint actions where agent i does not
    returns: np.ndarray  # (N,)
    gains: np.ndarray  # (N,) what each agent gains by not delegating where that is best; zero in equilibrium
    drawn: int  # the number of (step, state) pairs in which more than one joint action has a chance

    @property
    def welfare(self) -> float:
        return float(self.returns.sum())


def mediated_policy(table: Table, horizon: int) -> MediatedPolicy | None:
    """The best mediated equilibrium stage by stage; None for a game that is too large.

    What is maximised is the `objective` of the table, which is welfare.
    """
    if not is_small(table, horizon):
        return None
    S, J, N = table.rewards.shape
    A = table.action_count
    chances, threats = np.empty((horizon, S, J)), np.empty((horizon, S, N, A ** (N - 1)))
    values, best = np.zeros((S, N + 1)), np.zeros((S, N))  # of delegating, and of delegating only where that is best
    now = np.concatenate([table.rewards, table.objective[..., None]], axis=2)
    for t in reversed(range(horizon)):
        q = now + expected(table, values, 1.0)[table.following]
        alone = table.rewards + expected(table, best, 1.0)[table.following]
        for s in range(S):
            found = best_mediated_equilibrium(q[s, :, :N], q[s, :, N], table.actions)
            chances[t, s], threats[t, s] = found.chances, found.threats
        values = np.einsum("sj,sji->si", chances[t], q)
        delegating = np.einsum("sj,sji->si", chances[t], alone)
        for i in range(N):
            own = np.moveaxis(alone[:, :, i].reshape(S, *(A,) * N), 1 + i, 1).reshape(S, A, -1)
            best[:, i] = np.maximum(delegating[:, i], np.einsum("sak,sk->sa", own, threats[t, :, i]).max(axis=1))
    drawn = int(np.count_nonzero((chances > CHANCE).sum(axis=2) > 1))
    gains = np.maximum(table.start @ (best - values[:, :N]), 0.0)
    return MediatedPolicy(chances, threats, returns_of(table, chances), gains, drawn)

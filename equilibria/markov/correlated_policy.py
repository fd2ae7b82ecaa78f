"""What signals do without money: in every state agents are told their parts of a drawn joint action, and obey.

In the stage game of every state, given the values of what follows, the best correlated equilibrium is taken
(`best_correlated_equilibrium`), by backward induction over the finite horizon. A mediator who sees the state and sends
signals, but pays nothing, reaches this welfare. As with the selfish rules it is a rule of selection, not a bound:
another equilibrium later on might allow a better one now, and even the selfish equilibrium of another rule may be
better where games go on.

A linear programme is solved for each state and step, so this is for small games (`STAGES`, `NUMBERS`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..normal_form.correlated_equilibrium import best_correlated_equilibrium
from ..tables.table import Table
from ..tolerances import CHANCE
from .stage_games import expected

STAGES = 6_000  # (state, step) pairs at most; each takes a millisecond or two ...
NUMBERS = 2_000_000  # ... if the constraints of all of them have no more numbers than this


class CorrelatedPolicy(NamedTuple):
    """The chances of joint actions that agents obey, evaluated over the undiscounted horizon."""

    chances: np.ndarray  # (T, S, J) float64
    returns: np.ndarray  # (N,)
    gains: np.ndarray  # (N,) what each agent's best answers to its signals add; zero in equilibrium
    drawn: int  # the number of (step, state) pairs in which more than one joint action has a chance

    @property
    def welfare(self) -> float:
        return float(self.returns.sum())


def correlated_policy(table: Table, horizon: int) -> CorrelatedPolicy | None:
    """The best correlated equilibrium stage by stage; None for a game that is too large.

    What is maximised is the `objective` of the table, which is welfare.
    """
    if not is_small(table, horizon):
        return None
    S, J, N = table.rewards.shape
    chances, values = np.empty((horizon, S, J)), np.zeros((S, N + 1))
    now = np.concatenate([table.rewards, table.objective[..., None]], axis=2)
    for t in reversed(range(horizon)):
        q = now + expected(table, values, 1.0)[table.following]
        for s in range(S):
            chances[t, s] = best_correlated_equilibrium(q[s, :, :N], q[s, :, N], table.actions)
        values = np.einsum("sj,sji->si", chances[t], q)
    drawn = int(np.count_nonzero((chances > CHANCE).sum(axis=2) > 1))
    return CorrelatedPolicy(chances, returns_of(table, chances), _gains(table, chances), drawn)


def is_small(table: Table, horizon: int) -> bool:
    """Whether a linear programme for each state and step takes seconds."""
    S, J, N = table.rewards.shape
    return S * horizon <= STAGES and S * horizon * J * N * table.action_count**2 <= NUMBERS


def returns_of(table: Table, chances: np.ndarray) -> np.ndarray:
    """(N,): the returns where the joint actions are drawn by `chances` (T, S, J)."""
    share, returns = table.start.copy(), np.zeros(table.rewards.shape[2])
    distribution = table.distributions
    for drawn in chances:
        taken = share[:, None] * drawn
        returns += np.einsum("sj,sji->i", taken, table.rewards)
        each = np.bincount(table.following.ravel(), taken.ravel(), len(table.offsets) - 1)
        share = np.bincount(table.successors, each[distribution] * table.probabilities, table.states)
    return returns


def _gains(table: Table, chances: np.ndarray) -> np.ndarray:
    """(N,): what each agent's best answers to its signals add to its return while the others obey."""
    S, _, N = table.rewards.shape
    kept, best = np.zeros((S, N)), np.zeros((S, N))
    for drawn in chances[::-1]:
        obeyed = table.rewards + expected(table, kept, 1.0)[table.following]
        answered = table.rewards + expected(table, best, 1.0)[table.following]
        kept = np.einsum("sj,sji->si", drawn, obeyed)
        best = np.stack([_best_answers(table, drawn, answered[..., i], i) for i in range(N)], axis=1)
    return np.maximum(table.start @ (best - kept), 0.0)


def _best_answers(table: Table, chances: np.ndarray, q: np.ndarray, agent: int) -> np.ndarray:
    """(S,): an agent's value of its best answer to each of its signals, by its values `q` (S, J) of joint actions."""
    A = table.action_count
    stride = A ** (table.rewards.shape[2] - 1 - agent)
    total = np.zeros(table.states)
    for told in range(A):
        rows = np.flatnonzero(table.actions[:, agent] == told)
        other = rows[:, None] + (np.arange(A) - told) * stride  # (rows, A)
        total += np.einsum("sj,sja->sa", chances[:, rows], q[:, other]).max(axis=1)
    return total

"""Payments contingent on what the others did: following is a dominant strategy, at the price of a best response.

An agent is paid, for following, what makes that its best action *given what the others did* (Monderer and Tennenholtz
2004, "K-implementation"; Zhang et al. 2023, arXiv:2306.05221):

    b_i(s, a_-i) = max_a Q_i(s, a, a_-i) - Q_i(s, rec_i, a_-i),

where Q_i is the value to agent i of a joint action if all follow from the next step on, later payments included.
Following is then best in every stage whatever the others do in it, and while they follow only the least payment of the
subgame-perfect principal is paid: a payment that makes following dominant without regard to what they did (the rule
DOMINANT) is the largest of these.
"""

from __future__ import annotations

import numpy as np

from ..markov.best_response import stationary_best_response
from ..markov.stage_games import expected
from ..tables.table import Table
from ..tolerances import PAYOFF_TIE


def contingent_payments(table: Table, recommended: np.ndarray, promised: np.ndarray, *, discount: float) -> np.ndarray:
    """(S, N, A^(N-1)): what the stationary policy `recommended` (S, N) pays by the joint action of the others.

    `promised` (S, N) is what is paid while all follow. The others' joint actions are in lexicographic order, by agent.
    """
    joint, N = table.joint(recommended), recommended.shape[1]
    values = [stationary_best_response(table, joint, promised, i, discount, improve=False)[0] for i in range(N)]
    return stage_payments(table, recommended, np.stack(values, axis=1), discount)


def stage_payments(table: Table, recommended: np.ndarray, values: np.ndarray, discount: float) -> np.ndarray:
    """(S, N, A^(N-1)): the contingent payments of the stage games in which the agents' `values` (S, N) follow."""
    A, (S, N) = table.action_count, recommended.shape
    ahead, paid = expected(table, values, discount), np.empty((S, N, A ** (N - 1)))
    for i in range(N):
        q = (table.rewards[..., i] + ahead[table.following, i]).reshape(S, *[A] * N)
        by_own = np.moveaxis(q, 1 + i, 1).reshape(S, A, -1)
        best, followed = by_own.max(axis=1), by_own[np.arange(S), recommended[:, i]]
        paid[:, i] = np.where(best - followed > PAYOFF_TIE * (1.0 + np.abs(best)), best - followed, 0.0)
    return paid

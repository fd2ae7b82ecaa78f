"""The best correlated equilibrium of a stage game: what signals alone can make of it, without payments.

A mediator draws a joint action and tells each agent its own part. The agents obey if no part, once told, makes another
action better (Aumann 1974): the obedience constraints are linear in the chances of the joint actions, so that the best
equilibrium is a linear programme, and there is always one. With the mediator as the sender of signals it is the
obedient optimum of information design where agents see the state (Bergemann and Morris 2019, "Information design: a
unified perspective").
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from ..tolerances import PAYOFF_TIE


def best_correlated_equilibrium(q: np.ndarray, objective: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """(J,) float64: the chances of joint actions that maximise the expected `objective` (J,) among all that are obeyed.

    `q[j, i]` is agent i's payoff of the joint action `actions[j]`, which stand in lexicographic order. A joint action
    that is the best of all, and from which nobody gains by deviating, is taken for certain. Payoffs that differ by nine
    orders of magnitude are beyond the solver: who calls this measures what a deviation gains.
    """
    J, N = q.shape
    A = int(actions[-1, 0]) + 1
    gains = _gains(q, actions, A)  # (J, N, A)
    best = int(objective.argmax())
    if gains[best].max() <= PAYOFF_TIE * (1.0 + np.abs(q[best]).max()):
        return np.eye(J)[best]
    rows = np.zeros((N * A * A, J))
    for i in range(N):
        for j in range(J):
            rows[(i * A + actions[j, i]) * A : (i * A + actions[j, i] + 1) * A, j] = gains[j, i]
    largest = np.abs(rows).max(axis=1)
    rows = rows[largest > 0.0] / largest[largest > 0.0, None]  # the solver's tolerances are absolute
    cost = objective[best] - objective
    cost = cost / max(float(cost.max()), 1e-300)
    found = linprog(cost, A_ub=rows, b_ub=np.zeros(len(rows)), A_eq=np.ones((1, J)), b_eq=[1.0], method="highs")
    if not found.success or found.x is None:  # it cannot be infeasible: what fails is arithmetic
        raise ArithmeticError(f"the linear programme of a correlated equilibrium was not solved: {found.message}")
    chances = np.maximum(found.x, 0.0)
    return chances / chances.sum()


def _gains(q: np.ndarray, actions: np.ndarray, A: int) -> np.ndarray:
    """(J, N, A): what agent i gains by action a where j is drawn."""
    J, N = q.shape
    strides = A ** np.arange(N)[::-1]
    other = np.arange(J)[:, None, None] + (np.arange(A) - actions[:, :, None]) * strides[:, None]  # (J, N, A)
    return q[other, np.arange(N)[:, None]] - q[:, :, None]

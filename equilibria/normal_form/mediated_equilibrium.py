"""The best mediated equilibrium of a stage game: what a mediator can make of it who plays for those who let it.

A mediator says what it will play for every coalition that delegates to it, and cannot make anybody delegate. Where all
delegate it draws a joint action; where agent i alone does not, it plays for the others what hurts i most, their
correlated min-max. All delegating is an equilibrium if each agent's payoff of the draw is at least its min-max value:
one linear constraint for each agent, so that the best equilibrium is a linear programme, and there is always one
(Monderer and Tennenholtz 2009, "Strong mediated equilibrium", for coalitions of all agents and of all but one).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog

from ..tolerances import PAYOFF_TIE


class MediatedEquilibrium(NamedTuple):
    """What a mediator plays for all, and for the others of an agent that does not delegate."""

    chances: np.ndarray  # (J,) of joint actions where all delegate
    threats: np.ndarray  # (N, A^(N-1)) of the others' joint actions where agent i does not
    floors: np.ndarray  # (N,) the most that agent i gets against its threat


def best_mediated_equilibrium(q: np.ndarray, objective: np.ndarray, actions: np.ndarray) -> MediatedEquilibrium:
    """The mediated equilibrium whose draw maximises the expected `objective` (J,).

    `q[j, i]` is agent i's payoff of the joint action `actions[j]`, which stand in lexicographic order. A joint action
    that is the best of all, and gives each agent its min-max value, is taken for certain.
    """
    J, N = q.shape
    A = int(actions[-1, 0]) + 1
    found = [min_max(np.moveaxis(q[:, i].reshape((A,) * N), i, 0).reshape(A, -1)) for i in range(N)]
    threats, floors = np.stack([threat for threat, _ in found]), np.array([floor for _, floor in found])
    best, slack = int(objective.argmax()), PAYOFF_TIE * (1.0 + np.abs(q).max())
    if (q[best] >= floors - slack).all():
        return MediatedEquilibrium(np.eye(J)[best], threats, floors)
    short = floors[:, None] - q.T  # (N, J), which each agent's draw must not exceed on average
    largest = np.maximum(np.abs(short).max(axis=1, keepdims=True), 1e-300)
    cost = objective[best] - objective
    cost = cost / max(float(cost.max()), 1e-300)
    bound = (slack / largest)[:, 0]  # a floor comes from a linear programme of its own, and is as exact
    drawn = linprog(cost, A_ub=short / largest, b_ub=bound, A_eq=np.ones((1, J)), b_eq=[1.0], method="highs")
    if not drawn.success or drawn.x is None:  # there is one: what fails is arithmetic
        raise ArithmeticError(f"the linear programme of a mediated equilibrium was not solved: {drawn.message}")
    chances = np.maximum(drawn.x, 0.0)
    return MediatedEquilibrium(chances / chances.sum(), threats, floors)


def min_max(payoffs: np.ndarray) -> tuple[np.ndarray, float]:
    """The mixture (K,) of the others' joint actions that holds an agent down, and the most that it then gets.

    `payoffs` (A, K) are the agent's, by its own action and theirs.
    """
    A, K = payoffs.shape
    pure = payoffs.max(axis=0)
    low, high = float(payoffs.min(axis=1).max()), float(pure.min())
    if high - low <= PAYOFF_TIE * (1.0 + np.abs(payoffs).max()):  # pure threats are as good as mixed ones
        return np.eye(K)[int(pure.argmin())], high
    unit = np.abs(payoffs).max()
    rows = np.concatenate([payoffs / unit, -np.ones((A, 1))], axis=1)
    cost, total = np.append(np.zeros(K), 1.0), np.append(np.ones(K), 0.0)[None]
    bounds = [*[(0.0, None)] * K, (None, None)]
    found = linprog(cost, A_ub=rows, b_ub=np.zeros(A), A_eq=total, b_eq=[1.0], bounds=bounds, method="highs")
    if not found.success or found.x is None:
        raise ArithmeticError(f"the linear programme of a min-max value was not solved: {found.message}")
    mixture = np.maximum(found.x[:K], 0.0)
    mixture = mixture / mixture.sum()
    return mixture, float((payoffs @ mixture).max())

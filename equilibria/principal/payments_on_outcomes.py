"""Least payments: the cheapest contract on outcomes that induces an action, for an agent with limited liability.

An action leads to each of K outcomes with some chance; a contract b pays b(o) >= 0 if outcome o comes. The contract
that induces action a* at the least expected payment solves a linear programme, one for each action (Grossman and Hart
1983, "An analysis of the principal-agent problem"; with payments >= 0, limited liability, Innes 1990):

    minimise E[b(o) | a*] over b >= 0 such that E[b | a*] + q(a*) >= E[b | a] + q(a) + nudge for every a != a*

`chance` (..., A, K) holds the distributions, `q` (..., A) the agent's value of each action from here on, without the
payment due now.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from ..tolerances import CONTRADICTION


def least_payments(q: np.ndarray, chance: np.ndarray, nudge: float = 0.0) -> np.ndarray:
    """(..., A, K): for each action, the cheapest contract that makes it best by `nudge`; inf where there is none."""
    if chance.shape[-1] == 2 and np.allclose(chance.sum(axis=-1), 1.0):
        return two_outcomes(q, chance, nudge)
    found = np.empty(chance.shape)
    for index in np.ndindex(q.shape):
        found[index] = linear_programme(q[index[:-1]], chance[index[:-1]], index[-1], nudge)
    return found


def two_outcomes(q: np.ndarray, chance: np.ndarray, nudge: float = 0.0) -> np.ndarray:
    """`least_payments` in closed form, (..., A, 2), where exactly one of two outcomes comes.

    1. Only x = b(1) - b(0) matters to the agent. With p(a) the chance of outcome 1, every other action a bounds it:
       (p(a*) - p(a)) x >= q(a) - q(a*) + nudge.
    2. The cheapest x within the bounds is the one nearest to 0; the smaller payment is 0.
    """
    p = chance[..., 1]
    apart = p[..., :, None] - p[..., None, :]  # p(a*) - p(a)
    due = q[..., None, :] - q[..., :, None] + nudge  # q(a) - q(a*) + nudge
    other = ~np.eye(q.shape[-1], dtype=bool)
    bound = due / np.where(apart == 0.0, 1.0, apart)
    least = np.where(other & (apart > 0.0), bound, -np.inf).max(axis=-1)
    most = np.where(other & (apart < 0.0), bound, np.inf).min(axis=-1)
    hopeless = (other & (apart == 0.0) & (due > CONTRADICTION)).any(axis=-1) | (least > most + CONTRADICTION)
    x = np.where(hopeless, np.inf, np.clip(0.0, least, most))
    return np.stack([np.where(hopeless, np.inf, np.maximum(-x, 0.0)), np.maximum(x, 0.0)], axis=-1)


def linear_programme(q: np.ndarray, chance: np.ndarray, action: int, nudge: float = 0.0) -> np.ndarray:
    """`least_payments` of one state and one `action` by HiGHS, for any number of outcomes: (K,), inf where none is."""
    others = np.arange(len(q)) != action
    found = linprog(
        chance[action],
        A_ub=(chance - chance[action])[others],
        b_ub=(q[action] - q - nudge)[others],
        bounds=(0.0, None),
        method="highs",
    )
    return np.asarray(found.x) if found.success else np.full(chance.shape[-1], np.inf)

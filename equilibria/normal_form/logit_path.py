"""A mixed equilibrium as the end of the path of logit equilibria, where enumeration finds none.

In a logit equilibrium of precision l every agent plays action a with a probability proportional to exp(l u(a)), u(a)
being what it expects of it against the others (McKelvey and Palfrey 1995). With y the logarithms of the probabilities:

    sum_a exp(y_a) = 1        y_a - y_0 = l (u(a) - u(0))        for each agent

1. Begin at precision 0, where all probabilities are even.
2. Follow the curve of solutions (Turocy 2005, "A dynamic homotopy interpretation of the logistic quantal response
   equilibrium correspondence"): a step along its tangent, then Newton's method across it, in steps that grow as long as
   few iterations are needed. The precision may fall on the way, since the curve can turn.
3. Every `POLISH` steps take the actions that are played with more than a threshold as supports, and solve for
   indifference from there. End with the first solution that is an equilibrium.

For almost all payoffs the curve leads to an equilibrium; it is that selection which is taken.
"""

from __future__ import annotations

import numba
import numpy as np

from .indifference import eliminated, indifferent, normalise, pair_values, scaled, supported, value_and_regret

MAX_STEPS = 1_500  # along the curve
MAX_CORRECTIONS, CORRECTED = 8, 1e-9  # iterations of Newton's method at each step, and when they end
FARTHEST = 10.0  # that an iteration may move, else the step is too long
FIRST_STEP, SHORTEST_STEP, LONGER, SHORTER = 0.05, 1e-7, 1.4, 0.5
POLISH, THRESHOLDS = 5, (1e-2, 1e-3, 1e-1)  # steps between attempts, and from which probability on an action is played


@numba.njit(cache=True, nogil=True)
def logit_limit(q: np.ndarray, actions: np.ndarray, A: int) -> tuple[bool, np.ndarray]:
    """Whether an equilibrium was found, and its strategies (N, A)."""
    N = actions.shape[1]
    n, payoffs = N * A, scaled(q)
    point = np.append(np.full(n, -np.log(A)), 0.0)  # the logarithms, then the precision
    tangent, everything = np.zeros(n + 1), np.arange(len(actions))
    tangent[n] = 1.0
    step, system = FIRST_STEP, np.empty((n + 1, n + 2))
    for taken in range(MAX_STEPS):
        _system(payoffs, actions, everything, A, point, tangent, system)
        system[:n, n + 1], system[n, n + 1] = 0.0, 1.0
        if not eliminated(system):
            break
        forward = system[:, n + 1] / np.sqrt((system[:, n + 1] ** 2).sum())
        needed, ahead = -1, point
        while needed < 0 and step > SHORTEST_STEP:
            ahead = point + step * forward
            needed = _corrected(payoffs, actions, everything, A, ahead, forward, system)
            step *= SHORTER if needed < 0 or needed > 4 else LONGER
        if needed < 0:
            break
        point, tangent = ahead, forward
        if taken % POLISH == 0:
            for threshold in THRESHOLDS:
                found, strategies = _polished(q, payoffs, actions, np.exp(point[:n]).reshape(N, A), threshold)
                if found:
                    return True, strategies
    return False, np.zeros((N, A))


@numba.njit(cache=True, nogil=True)
def _corrected(
    payoffs: np.ndarray, actions: np.ndarray, joint: np.ndarray, A: int, point: np.ndarray, tangent: np.ndarray,
    system: np.ndarray,
) -> int:  # fmt: skip
    """Move `point` back to the curve, across the `tangent`; the number of iterations, -1 where that fails."""
    for needed in range(MAX_CORRECTIONS):
        if _system(payoffs, actions, joint, A, point, tangent, system) <= CORRECTED:
            return needed
        if not eliminated(system):
            return -1
        for k in range(len(point)):
            if not abs(system[k, -1]) < FARTHEST:
                return -1
            point[k] += system[k, -1]
    return -1


@numba.njit(cache=True, nogil=True)
def _system(
    payoffs: np.ndarray, actions: np.ndarray, joint: np.ndarray, A: int, point: np.ndarray, tangent: np.ndarray,
    system: np.ndarray,
) -> float:  # fmt: skip
    """Fill in `system` (n + 1, n + 2), the linear equations of a Newton step; the largest relative error now."""
    n = len(point) - 1
    N, precision, missed = n // A, point[n], 0.0
    played = np.exp(np.minimum(point[:n], 1.0)).reshape(N, A)
    values = pair_values(payoffs, actions, joint, played)
    system[:] = 0.0
    for i in range(N):
        other = (i + 1) % N
        for a in range(A):
            r = i * A + a
            if a == 0:
                system[r, r : r + A] = played[i]
                system[r, n + 1] = 1.0 - played[i].sum()
            else:
                gained = 0.0
                for b in range(A):
                    gained += (values[i, a, other, b] - values[i, 0, other, b]) * played[other, b]
                for k in range(N):
                    for b in range(A):
                        if k != i:
                            slope = values[i, a, k, b] - values[i, 0, k, b]
                            system[r, k * A + b] = -precision * slope * played[k, b]
                system[r, r], system[r, i * A], system[r, n] = 1.0, -1.0, -gained
                system[r, n + 1] = precision * gained - (point[r] - point[i * A])
            missed = max(missed, abs(system[r, n + 1]) / (1.0 + abs(precision)))
    system[n, : n + 1] = tangent
    return missed


@numba.njit(cache=True, nogil=True)
def _polished(
    q: np.ndarray, payoffs: np.ndarray, actions: np.ndarray, strategies: np.ndarray, threshold: float
) -> tuple[bool, np.ndarray]:
    """Whether an equilibrium lies near the `strategies` (N, A), on the actions more probable than the `threshold`."""
    N, A = strategies.shape
    support, near = np.zeros((N, A), np.bool_), np.zeros((N, A))
    for i in range(N):
        most = strategies[i].max()
        for a in range(A):
            if strategies[i, a] > threshold or strategies[i, a] == most:
                support[i, a], near[i, a] = True, strategies[i, a]
        normalise(near[i])
    found = indifferent(payoffs, actions, supported(support), support, near)
    return found and value_and_regret(q, actions, near)[1] <= 0.0, near

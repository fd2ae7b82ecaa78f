"""Kernels of mixed strategies: their values, and Newton's method for probabilities that make agents indifferent.

`q[j, i]` is agent i's payoff of the joint action `actions[j]`; of A actions each, the joint actions stand in
lexicographic order, agent 0 slowest.
"""

from __future__ import annotations

import numba
import numpy as np

from ..tolerances import CONSTRAINT_SLACK, INDIFFERENCE, PAYOFF_TIE, SINGULAR_PIVOT

MAX_ITERATIONS = 25  # of Newton's method


@numba.njit(cache=True, nogil=True)
def supported(support: np.ndarray) -> np.ndarray:
    """(J',) int64, ascending: the joint actions in which every agent's action is in its `support` (N, A)."""
    N, A = support.shape
    joint = np.zeros(1, np.int64)
    for i in range(N):
        own = np.flatnonzero(support[i])
        longer = np.empty(len(joint) * len(own), np.int64)
        for k in range(len(joint)):
            for a in range(len(own)):
                longer[k * len(own) + a] = joint[k] * A + own[a]
        joint = longer
    return joint


@numba.njit(cache=True, nogil=True)
def scaled(q: np.ndarray) -> np.ndarray:
    """(J, N): each agent's payoffs mapped to [0, 1], which changes no best response."""
    J, N = q.shape
    payoffs = np.empty((J, N))
    for i in range(N):
        low = high = q[0, i]
        for j in range(J):
            low, high = min(low, q[j, i]), max(high, q[j, i])
        for j in range(J):
            payoffs[j, i] = (q[j, i] - low) / max(high - low, 1e-300)
    return payoffs


@numba.njit(cache=True, nogil=True)
def value_and_regret(q: np.ndarray, actions: np.ndarray, strategies: np.ndarray) -> tuple[float, float]:
    """The agents' total value, and the largest regret of any agent, zero where that is a tie."""
    N, A = strategies.shape
    total, regret, joint = 0.0, 0.0, supported(strategies > 0.0)
    stride, of_action = len(actions), np.empty(A)
    for i in range(N):
        stride //= A
        of_action[:] = 0.0
        own = np.flatnonzero(strategies[i])[0]
        for j in joint:
            if actions[j, i] == own:  # the others' actions, each once
                chance = 1.0
                for k in range(N):
                    if k != i:
                        chance *= strategies[k, actions[j, k]]
                for a in range(A):
                    of_action[a] += chance * q[j + (a - own) * stride, i]
        value, best = (strategies[i] * of_action).sum(), of_action.max()
        total += value
        if best - value > PAYOFF_TIE * (1.0 + abs(best)):
            regret = max(regret, best - value)
    return total, regret


@numba.njit(cache=True, nogil=True)
def pair_values(payoffs: np.ndarray, actions: np.ndarray, joint: np.ndarray, strategies: np.ndarray) -> np.ndarray:
    """(N, A, N, A): what agent i expects of its action a if agent k plays b and the others mix by `strategies`.

    Only the joint actions `joint` are counted. Entries with i = k are zero.
    """
    N, A = strategies.shape
    values = np.zeros((N, A, N, A))
    for j in joint:
        for i in range(N):
            for k in range(N):
                if k != i:
                    chance = 1.0
                    for other in range(N):
                        if other not in (i, k):
                            chance *= strategies[other, actions[j, other]]
                    values[i, actions[j, i], k, actions[j, k]] += chance * payoffs[j, i]
    return values


@numba.njit(cache=True, nogil=True)
def indifferent(
    payoffs: np.ndarray, actions: np.ndarray, joint: np.ndarray, support: np.ndarray, strategies: np.ndarray
) -> bool:
    """Move `strategies` (N, A) to where every agent is indifferent on its `support`; False where Newton's method fails.

    The system has a row for each action played: the first row of an agent says that its probabilities sum to one,
    each other that the action is as good as the agent's first one.
    """
    agent, action = np.nonzero(support)
    n = len(agent)
    system = np.empty((n, n + 1))
    for _ in range(MAX_ITERATIONS):
        values = pair_values(payoffs, actions, joint, strategies)
        missed = _indifference(values, strategies, agent, action, system)
        if missed <= INDIFFERENCE:
            return _cleaned(strategies)
        if not eliminated(system):
            _indifference(values, strategies, agent, action, system)
            system = _least_squares(system)
            if not eliminated(system):
                return False
        longest = 0.0
        for k in range(n):
            longest = max(longest, abs(system[k, n]))
        for k in range(n):
            strategies[agent[k], action[k]] += system[k, n] / max(1.0, longest)
    return False


@numba.njit(cache=True, nogil=True)
def _indifference(
    values: np.ndarray, strategies: np.ndarray, agent: np.ndarray, action: np.ndarray, system: np.ndarray
) -> float:
    """Fill in `system` (n, n + 1), the linear equations of a Newton step; the largest error of the equations now."""
    n, N, missed = len(agent), len(strategies), 0.0
    for r in range(n):
        i, first = agent[r], 0
        while agent[first] != i:
            first += 1
        if r == first:
            for c in range(n):
                system[r, c] = 1.0 if agent[c] == i else 0.0
            system[r, n] = 1.0 - strategies[i].sum()
        else:
            gained, other = 0.0, (i + 1) % N
            for c in range(n):
                k, b = agent[c], action[c]
                system[r, c] = values[i, action[r], k, b] - values[i, action[first], k, b]
                if k == other:
                    gained += system[r, c] * strategies[k, b]
            system[r, n] = -gained
        missed = max(missed, abs(system[r, n]))
    return missed


@numba.njit(cache=True, nogil=True)
def _least_squares(system: np.ndarray) -> np.ndarray:
    """The normal equations of a singular system, a little regularised."""
    n = len(system)
    squares = np.zeros((n, n + 1))
    for r in range(n):
        squares[r, r] = INDIFFERENCE
        for c in range(n + 1):
            for k in range(n):
                squares[r, c] += system[k, r] * system[k, c]
    return squares


@numba.njit(cache=True, nogil=True)
def eliminated(system: np.ndarray) -> bool:
    """Put the solution into the last column of `system` (n, n + 1), by pivoting; False if it has no unique one."""
    n = len(system)
    for i in range(n):
        pivot = i
        for r in range(i + 1, n):
            if abs(system[r, i]) > abs(system[pivot, i]):
                pivot = r
        if not abs(system[pivot, i]) > SINGULAR_PIVOT:
            return False
        if pivot != i:
            for c in range(n + 1):
                system[i, c], system[pivot, c] = system[pivot, c], system[i, c]
        for r in range(i + 1, n):
            factor = system[r, i] / system[i, i]
            if factor != 0.0:
                for c in range(i, n + 1):
                    system[r, c] -= factor * system[i, c]
    for i in range(n - 1, -1, -1):
        for c in range(i + 1, n):
            system[i, n] -= system[i, c] * system[c, n]
        system[i, n] /= system[i, i]
    return True


@numba.njit(cache=True, nogil=True)
def _cleaned(strategies: np.ndarray) -> bool:
    """Whether no probability is negative but by rounding; those that are become zero."""
    N, A = strategies.shape
    for i in range(N):
        for a in range(A):
            if strategies[i, a] < -CONSTRAINT_SLACK:
                return False
            if strategies[i, a] <= CONSTRAINT_SLACK:
                strategies[i, a] = 0.0
        normalise(strategies[i])
    return True


@numba.njit(cache=True, nogil=True)
def normalise(probabilities: np.ndarray) -> None:
    """Divide by the sum."""
    total = 0.0
    for a in range(len(probabilities)):
        total += probabilities[a]
    for a in range(len(probabilities)):
        probabilities[a] /= total


@numba.njit(cache=True, nogil=True)
def bits(subset: int) -> int:
    """The number of bits set: the actions in a support, or the labels of a vertex."""
    count = 0
    while subset:
        subset &= subset - 1
        count += 1
    return count

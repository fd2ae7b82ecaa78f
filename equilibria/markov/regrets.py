"""Kernels of regrets in stage games: what an agent's best response to the others' part of a joint action would add.

They work on a block of L stage games at once, since the processor does to the games of a block in one instruction what
it would do to each in turn: arrays are (N or N + 1, J, L), agents first and games last.
"""

from __future__ import annotations

import numba
import numpy as np

from ..tolerances import PAYOFF_TIE


@numba.njit(cache=True, nogil=True)
def fill_regrets(q: np.ndarray, A: int, regrets: np.ndarray) -> None:
    """regrets[i, j] = max_a q[i, (a, j_-i)] - q[i, j], zero where that is a tie."""
    N, J, L = regrets.shape
    best, tie = np.empty(L), np.empty(L)
    stride = J
    for i in range(N):
        block, stride = stride, stride // A
        for first in range(0, J, block):
            for base in range(first, first + stride):
                for b in range(L):
                    best[b] = q[i, base, b]
                for j in range(base + stride, base + block, stride):
                    for b in range(L):
                        best[b] = q[i, j, b] if q[i, j, b] > best[b] else best[b]
                for b in range(L):
                    tie[b] = PAYOFF_TIE * (1.0 + abs(best[b]))
                for j in range(base, base + block, stride):
                    for b in range(L):
                        regret = best[b] - q[i, j, b]
                        regrets[i, j, b] = regret if regret > tie[b] else 0.0


@numba.njit(cache=True, nogil=True)
def largest_over_others(actions: np.ndarray, A: int, regrets: np.ndarray, raised: np.ndarray) -> None:
    """Fill in `raised` (N, J, L): each agent's largest regret of its action over all actions of the others."""
    N, J, L = regrets.shape
    largest = np.empty((A, L))
    for i in range(N):
        largest[:] = 0.0
        for j in range(J):
            a = actions[j, i]
            for b in range(L):
                largest[a, b] = regrets[i, j, b] if regrets[i, j, b] > largest[a, b] else largest[a, b]
        for j in range(J):
            a = actions[j, i]
            for b in range(L):
                raised[i, j, b] = largest[a, b]


@numba.njit(cache=True, nogil=True)
def best_response(q: np.ndarray, A: int, regrets: np.ndarray, agent: int, j: int, b: int) -> int:
    """In game b, the joint action with an agent's best response to the others' part of j, ties to the first.

    It is j itself where that has no regret.
    """
    if regrets[agent, j, b] <= 0.0:
        return j
    stride = A ** (regrets.shape[0] - 1 - agent)
    base = j - j // stride % A * stride
    best = base
    for other in range(base + stride, base + A * stride, stride):
        if q[agent, other, b] > q[agent, best, b]:
            best = other
    return best


@numba.njit(cache=True, nogil=True)
def most_tempting(actions: np.ndarray, regrets: np.ndarray, agent: int, j: int, b: int) -> int:
    """In game b, the joint action in which an agent's regret of its action in j is largest, ties to the first."""
    most = -1
    for k in range(len(actions)):
        if actions[k, agent] == actions[j, agent] and (most < 0 or regrets[agent, k, b] > regrets[agent, most, b]):
            most = k
    return most


@numba.njit(cache=True, nogil=True)
def largest_regret(due: np.ndarray, j: int, b: int) -> float:
    """In game b, the largest of the agents' regrets of j."""
    largest = 0.0
    for i in range(due.shape[0]):
        largest = max(largest, due[i, j, b])
    return largest

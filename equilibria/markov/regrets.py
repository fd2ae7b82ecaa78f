"""Kernels of regrets in a stage game: what an agent's best response to the others' part of a joint action would add."""

from __future__ import annotations

import numba
import numpy as np

from ..tolerances import PAYOFF_TIE


@numba.njit(cache=True, nogil=True)
def fill_regrets(q: np.ndarray, A: int, regrets: np.ndarray) -> None:
    """regrets[j, i] = max_a q[(a, j_-i), i] - q[j, i], zero where that is a tie."""
    J, N = regrets.shape
    stride = J
    for i in range(N):
        block, stride = stride, stride // A
        for first in range(0, J, block):
            for base in range(first, first + stride):
                best = q[base, i]
                for j in range(base + stride, base + block, stride):
                    best = max(best, q[j, i])
                tie = PAYOFF_TIE * (1.0 + abs(best))
                for j in range(base, base + block, stride):
                    regret = best - q[j, i]
                    regrets[j, i] = regret if regret > tie else 0.0


@numba.njit(cache=True, nogil=True)
def best_response(q: np.ndarray, A: int, regrets: np.ndarray, agent: int, j: int) -> int:
    """The joint action with an agent's best response to the others' part of j, ties to the first; j without regret."""
    if regrets[j, agent] <= 0.0:
        return j
    N = regrets.shape[1]
    stride = A ** (N - 1 - agent)
    base = j - j // stride % A * stride
    best = base
    for other in range(base + stride, base + A * stride, stride):
        if q[other, agent] > q[best, agent]:
            best = other
    return best


@numba.njit(cache=True, nogil=True)
def largest_over_others(actions: np.ndarray, A: int, regrets: np.ndarray, raised: np.ndarray) -> None:
    """Fill in `raised` (J, N): each agent's largest regret of its action over all actions of the others."""
    J, N = actions.shape
    largest = np.empty(A)
    for i in range(N):
        largest[:] = 0.0
        for j in range(J):
            largest[actions[j, i]] = max(largest[actions[j, i]], regrets[j, i])
        for j in range(J):
            raised[j, i] = largest[actions[j, i]]


@numba.njit(cache=True, nogil=True)
def most_tempting(actions: np.ndarray, regrets: np.ndarray, agent: int, j: int) -> int:
    """The joint action in which an agent's regret of its action in j is largest, ties to the first."""
    most = -1
    for k in range(len(actions)):
        if actions[k, agent] == actions[j, agent] and (most < 0 or regrets[k, agent] > regrets[most, agent]):
            most = k
    return most


@numba.njit(cache=True, nogil=True)
def largest_regret(due: np.ndarray, j: int) -> float:
    largest = 0.0
    for i in range(due.shape[1]):
        largest = max(largest, due[j, i])
    return largest

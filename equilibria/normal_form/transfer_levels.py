"""Self-interest levels: the largest share of its reward that each agent can keep while cooperation is weakly dominant.

A transfer matrix T (N, N) gives agent i the payoff `sum_j r_j T_ji`; its rows sum to one, so that nothing is lost.
Willis and Luck 2023, "Resolving social dilemmas with minimal reward transfer" (arXiv:2310.12928), for games with two
actions, of which the first is to cooperate.

Cooperating is weakly dominant under T if no agent i, whatever the others do, gains by defecting:

    sum_j T_ji [u_j(D_i, a_-i) - u_j(C_i, a_-i)] <= 0        for every i and a_-i

`payoffs`, (2,) * N + (N,), hold u at the joint action of the first N axes, as games of `envs/matrix_games.py` do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...core.config import UsageError
from ..tolerances import TRANSFER_TIE


class LeastTransfers(NamedTuple):
    """A transfer matrix under which cooperating is weakly dominant; nan where there is none."""

    matrix: np.ndarray  # (N, N) T*: the part of agent i's reward (axis 0) that agent j (axis 1) gets
    level: float  # g*: the smallest share of its own reward that any agent keeps


def symmetric_transfers(players: int, self_interest: float) -> np.ndarray:
    """(N, N): the matrix under which every agent keeps `self_interest` and the others share the rest evenly."""
    others = (1.0 - self_interest) / (players - 1)
    return np.where(np.eye(players, dtype=bool), self_interest, others)


def symmetric_level(payoffs: np.ndarray) -> float:
    """s*: the largest s in [0, 1] at which `symmetric_transfers` make cooperating weakly dominant; nan if none does.

    Each inequality is linear in s: `s own + (1 - s) others <= 0`, with what agent i gains by defecting, and what the
    others gain by it on average. Raises UsageError for payoffs that are no game of two actions each.
    """
    lowest, highest = 0.0, 1.0
    for agent, gained in _defections(payoffs):
        own, others = gained[:, agent], np.delete(gained, agent, axis=1).mean(axis=1)
        slope = own - others
        if (others[abs(slope) <= TRANSFER_TIE] > TRANSFER_TIE).any():
            return float("nan")
        above, below = slope > TRANSFER_TIE, slope < -TRANSFER_TIE
        highest = min([highest, *(-others[above] / slope[above])])
        lowest = max([lowest, *(-others[below] / slope[below])])
    return abs(float(highest)) if lowest <= highest + TRANSFER_TIE else float("nan")


def least_transfers(payoffs: np.ndarray) -> LeastTransfers:
    """T* and g*, the matrix whose smallest diagonal entry is largest, by a linear programme (HiGHS).

    maximise g over T in [0, 1] such that T_ii >= g, rows sum to one, and cooperating is weakly dominant under T

    Where several matrices are best it is one of them. Raises UsageError as `symmetric_level` does.
    """
    from scipy.optimize import linprog  # takes half a second, and mechanisms import this module

    N = payoffs.shape[-1]
    each, unknowns = np.eye(N), N * N + 1  # T row by row, then g
    dominant = [(row[:, None] * each[agent]).ravel() for agent, gained in _defections(payoffs) for row in gained]
    keeps = [-np.outer(row, row).ravel() for row in each]
    upper = np.zeros((len(dominant) + N, unknowns))
    upper[:, :-1], upper[-N:, -1] = dominant + keeps, 1.0
    sums = np.zeros((N, unknowns))
    sums[:, :-1] = np.kron(each, np.ones(N))
    found = linprog(
        -np.eye(unknowns)[-1], upper, np.zeros(len(upper)), sums, np.ones(N), bounds=(0.0, 1.0), method="highs"
    )
    if found.x is None:
        return LeastTransfers(np.full((N, N), np.nan), float("nan"))
    matrix = np.asarray(found.x)[:-1].reshape(N, N).clip(0.0, 1.0) + 0.0
    return LeastTransfers(matrix / matrix.sum(axis=1, keepdims=True), float(found.x[-1]))


def _defections(payoffs: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """For each agent, (2 ** (N - 1), N): everyone's gains by its defection, for all joint actions of the others."""
    N = payoffs.shape[-1]
    if N < 2 or payoffs.shape != (2,) * N + (N,):
        raise UsageError(f"payoffs of shape {payoffs.shape} are not (2,) * N + (N,): two actions for each of N agents")
    for agent in range(N):
        cooperating, defecting = np.moveaxis(payoffs, agent, 0)
        yield agent, (defecting - cooperating).reshape(-1, N)

"""The stage game of every state, and the rules that choose a joint action in it.

At a stage, `q[j, i]` is what agent i earns from the joint action j on: its expected reward now and, discounted, its
value at the next state. `q[j, N]` is the same for who chooses. An agent's *regret* of j is what its best reply to the
others' part of j would add.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from .tabulate import Table

TIE = 1e-9  # payoffs closer than this, relative to 1 + their size, are equal; of equal choices the first is taken

COOPERATIVE = 0  # the joint action of highest total value
HIGHEST = 1  # the pure equilibrium of highest total value; where there is none, the smallest largest regret
LOWEST = 2  # the pure equilibrium of lowest total value; likewise
PRINCIPAL = 3  # what maximises objective / alpha - payments, each payment the regret of the action recommended
DOMINANT = 4  # the same, each payment the largest regret over all actions of the others


class Stage(NamedTuple):
    """What a sweep over all states found."""

    values: np.ndarray  # (S, N + 1) the agents', payments included, and the chooser's
    joint: np.ndarray  # (S,) int64 the joint action chosen
    promised: np.ndarray  # (S, N) paid to each agent that does its part; zero without a principal
    unresolved: np.ndarray  # (S,) bool: HIGHEST or LOWEST found no pure equilibrium


def sweep(table: Table, values: np.ndarray, *, rule: int, alpha: float, discount: float) -> Stage:
    """Solve the stage game of every state by `rule`, given the `values` (S, N + 1) of what follows."""
    return Stage(*_sweep(*table[:5], table.actions, table.action_count, values, rule, alpha, discount))


def follow(table: Table, stage: Stage, values: np.ndarray, *, alpha: float, discount: float, steps: int) -> np.ndarray:
    """The `values` (S, N + 1) after `steps` more steps under the stage's joint actions and payments."""
    return _follow(*table[:5], stage.joint, stage.promised, values, alpha, discount, steps)  # type: ignore[no-any-return]


@numba.njit(cache=True)
def _sweep(
    rewards: np.ndarray,
    objective: np.ndarray,
    offsets: np.ndarray,
    successors: np.ndarray,
    probabilities: np.ndarray,
    actions: np.ndarray,
    A: int,
    values: np.ndarray,
    rule: int,
    alpha: float,
    discount: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    S, J, N = rewards.shape
    new = np.empty((S, N + 1))
    joint = np.empty(S, np.int64)
    promised = np.zeros((S, N))
    unresolved = np.zeros(S, np.bool_)
    q = np.empty((J, N + 1))
    regret = np.empty((J, N))
    for s in range(S):
        for j in range(J):
            q[j, :N] = rewards[s, j]
            q[j, N] = objective[s, j] / alpha
            for e in range(offsets[s * J + j], offsets[s * J + j + 1]):
                for i in range(N + 1):
                    q[j, i] += discount * probabilities[e] * values[successors[e], i]
        if rule == COOPERATIVE:
            j = _most_total(q)
        else:
            _regrets(q, actions, A, regret)
            if rule == HIGHEST or rule == LOWEST:
                j, unresolved[s] = _selfish(q, regret, 1.0 if rule == HIGHEST else -1.0)
            else:
                if rule == DOMINANT:
                    _largest_over_others(regret, actions, A)
                j = _cheapest(q, regret)
                promised[s] = regret[j]
        joint[s] = j
        new[s] = q[j]
        for i in range(N):
            new[s, i] += promised[s, i]
            new[s, N] -= promised[s, i]
    return new, joint, promised, unresolved


@numba.njit(cache=True)
def _regrets(q: np.ndarray, actions: np.ndarray, A: int, regret: np.ndarray) -> None:
    """regret[j, i] = max_a q[(a, j_-i), i] - q[j, i], exactly zero where that is a tie."""
    J, N = actions.shape
    stride = J
    for i in range(N):
        stride //= A
        for j in range(J):
            base = j - actions[j, i] * stride
            best = q[base, i]
            for a in range(1, A):
                best = max(best, q[base + a * stride, i])
            gain = best - q[j, i]
            regret[j, i] = gain if gain > TIE * (1.0 + abs(best)) else 0.0


@numba.njit(cache=True)
def _largest_over_others(regret: np.ndarray, actions: np.ndarray, A: int) -> None:
    """Raise each agent's regret of an action to its largest over all actions of the others."""
    J, N = actions.shape
    for i in range(N):
        worst = np.zeros(A)
        for j in range(J):
            worst[actions[j, i]] = max(worst[actions[j, i]], regret[j, i])
        for j in range(J):
            regret[j, i] = worst[actions[j, i]]


@numba.njit(cache=True)
def _most_total(q: np.ndarray) -> int:
    """The joint action of highest total value of the agents."""
    best, chosen = -np.inf, 0
    for j in range(q.shape[0]):
        total = q[j, :-1].sum()
        if total > best + TIE * (1.0 + abs(total)):
            best, chosen = total, j
    return chosen


@numba.njit(cache=True)
def _selfish(q: np.ndarray, regret: np.ndarray, sign: float) -> tuple[int, bool]:
    """The joint action without regret of highest total value times `sign`; else the smallest largest regret."""
    best, chosen, found = -np.inf, 0, False
    least, calmest = np.inf, 0
    for j in range(q.shape[0]):
        largest = regret[j].max()
        if largest < least - TIE * (1.0 + abs(largest)):
            least, calmest = largest, j
        total = sign * q[j, :-1].sum()
        if largest == 0.0 and total > best + TIE * (1.0 + abs(total)):
            best, chosen, found = total, j, True
    return (chosen, False) if found else (calmest, True)


@numba.njit(cache=True)
def _cheapest(q: np.ndarray, due: np.ndarray) -> int:
    """The joint action of highest value to the principal after it has paid what is `due`."""
    best, chosen = -np.inf, 0
    for j in range(q.shape[0]):
        utility = q[j, -1] - due[j].sum()
        if utility > best + TIE * (1.0 + abs(utility)):
            best, chosen = utility, j
    return chosen


@numba.njit(cache=True)
def _follow(
    rewards: np.ndarray,
    objective: np.ndarray,
    offsets: np.ndarray,
    successors: np.ndarray,
    probabilities: np.ndarray,
    joint: np.ndarray,
    promised: np.ndarray,
    values: np.ndarray,
    alpha: float,
    discount: float,
    steps: int,
) -> np.ndarray:
    S, J, N = rewards.shape
    for _ in range(steps):
        new = np.empty((S, N + 1))
        for s in range(S):
            j = joint[s]
            new[s, :N] = rewards[s, j] + promised[s]
            new[s, N] = objective[s, j] / alpha - promised[s].sum()
            for e in range(offsets[s * J + j], offsets[s * J + j + 1]):
                for i in range(N + 1):
                    new[s, i] += discount * probabilities[e] * values[successors[e], i]
        values = new
    return values

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
    tempting: np.ndarray  # (S, N, 2) int64: agent i is paid q[tempting[s, i, 0], i] - q[tempting[s, i, 1], i]
    unresolved: np.ndarray  # (S,) bool: HIGHEST or LOWEST found no pure equilibrium


def sweep(
    table: Table,
    values: np.ndarray,
    *,
    rule: int,
    alpha: float,
    discount: float,
    before: np.ndarray | None = None,
) -> Stage:
    """Solve the stage game of every state by `rule`, given the `values` (S, N + 1) of what follows.

    Of equal choices the one made `before` (S,) is taken, else the first.
    """
    prior = np.full(table.states, -1) if before is None else before
    return Stage(*_sweep(*table[:5], table.actions, table.action_count, values, rule, alpha, discount, prior))


def follow(table: Table, stage: Stage, values: np.ndarray, *, alpha: float, discount: float, steps: int) -> np.ndarray:
    """The `values` (S, N + 1) after `steps` more sweeps that choose, and are tempted, as in `stage`."""
    later: np.ndarray = _follow(*table[:5], stage.joint, stage.tempting, values, alpha, discount, steps)
    return later


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
    before: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    S, J, N = rewards.shape
    new = np.empty((S, N + 1))
    joint = np.empty(S, np.int64)
    promised = np.zeros((S, N))
    tempting = np.empty((S, N, 2), np.int64)
    unresolved = np.zeros(S, np.bool_)
    q = np.empty((J, N + 1))
    due = np.empty((J, N))
    up, down = np.empty((J, N), np.int64), np.empty((J, N), np.int64)
    for s in range(S):
        _expect(rewards[s], objective[s], offsets, successors, probabilities, s * J, values, alpha, discount, q)
        if rule == COOPERATIVE:
            due[:] = 0.0
        else:
            _regrets(q, actions, A, due, up, down)
        if rule == DOMINANT:
            _largest_over_others(actions, A, due, up, down)
        j, resolved = _choose(q, due, rule, before[s])
        joint[s], unresolved[s] = j, not resolved
        new[s] = q[j]
        for i in range(N):
            tempting[s, i] = j
            if rule in (PRINCIPAL, DOMINANT):
                promised[s, i] = due[j, i]
                tempting[s, i, 0], tempting[s, i, 1] = up[j, i], down[j, i]
                new[s, i] += due[j, i]
                new[s, N] -= due[j, i]
    return new, joint, promised, tempting, unresolved


@numba.njit(inline="always")
def _expect(
    rewards: np.ndarray,
    objective: np.ndarray,
    offsets: np.ndarray,
    successors: np.ndarray,
    probabilities: np.ndarray,
    row: int,
    values: np.ndarray,
    alpha: float,
    discount: float,
    q: np.ndarray,
) -> None:
    """Fill in q (J, N + 1) of one state, whose rows start at `row`."""
    J, N = rewards.shape
    for j in range(J):
        for i in range(N):
            q[j, i] = rewards[j, i]
        q[j, N] = objective[j] / alpha
        for e in range(offsets[row + j], offsets[row + j + 1]):
            weight, following = discount * probabilities[e], successors[e]
            for i in range(N + 1):
                q[j, i] += weight * values[following, i]


@numba.njit(cache=True)
def _regrets(q: np.ndarray, actions: np.ndarray, A: int, due: np.ndarray, up: np.ndarray, down: np.ndarray) -> None:
    """due[j, i] = max_a q[(a, j_-i), i] - q[j, i], zero where that is a tie; `up` and `down` are the two rows."""
    J, N = actions.shape
    stride = J
    for i in range(N):
        stride //= A
        for j in range(J):
            base = j - actions[j, i] * stride
            best = base
            for a in range(1, A):
                if q[base + a * stride, i] > q[best, i]:
                    best = base + a * stride
            gain = q[best, i] - q[j, i]
            tied = gain <= TIE * (1.0 + abs(q[best, i]))
            due[j, i] = 0.0 if tied else gain
            up[j, i], down[j, i] = j if tied else best, j


@numba.njit(cache=True)
def _largest_over_others(actions: np.ndarray, A: int, due: np.ndarray, up: np.ndarray, down: np.ndarray) -> None:
    """Raise what each agent is due for an action to its largest over all actions of the others."""
    J, N = actions.shape
    worst = np.empty(A, np.int64)
    for i in range(N):
        worst[:] = -1
        for j in range(J):
            a = actions[j, i]
            if worst[a] < 0 or due[j, i] > due[worst[a], i]:
                worst[a] = j
        for j in range(J):
            at = worst[actions[j, i]]
            due[j, i], up[j, i], down[j, i] = due[at, i], up[at, i], down[at, i]


@numba.njit(cache=True)
def _choose(q: np.ndarray, due: np.ndarray, rule: int, before: int) -> tuple[int, bool]:
    """The joint action that `rule` takes, and whether it is a solution of the stage game."""
    J, N = due.shape
    selfish = rule in (HIGHEST, LOWEST)
    best, chosen = -np.inf, -1
    least, calmest = np.inf, 0
    for k in range(-1, J):
        j = k if k >= 0 else before
        if j < 0:
            continue
        worth, largest = 0.0, 0.0
        if rule in (PRINCIPAL, DOMINANT):
            worth = q[j, N]
        for i in range(N):
            largest = max(largest, due[j, i])
            if rule in (PRINCIPAL, DOMINANT):
                worth -= due[j, i]
            elif rule == LOWEST:
                worth -= q[j, i]
            else:
                worth += q[j, i]
        if selfish and largest > 0.0:
            if largest < least - TIE * (1.0 + largest):
                least, calmest = largest, j
        elif worth > best + TIE * (1.0 + abs(worth)):
            best, chosen = worth, j
    return (chosen, True) if chosen >= 0 else (calmest, False)


@numba.njit(cache=True)
def _follow(
    rewards: np.ndarray,
    objective: np.ndarray,
    offsets: np.ndarray,
    successors: np.ndarray,
    probabilities: np.ndarray,
    joint: np.ndarray,
    tempting: np.ndarray,
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
            for i in range(N):
                new[s, i] = rewards[s, j, i]
            new[s, N] = objective[s, j] / alpha
            for e in range(offsets[s * J + j], offsets[s * J + j + 1]):
                weight, following = discount * probabilities[e], successors[e]
                for i in range(N + 1):
                    new[s, i] += weight * values[following, i]
            for i in range(N):
                up, down = tempting[s, i]
                if up != down:
                    due = 0.0
                    for sign, k in ((1.0, up), (-1.0, down)):
                        due += sign * rewards[s, k, i]
                        for e in range(offsets[s * J + k], offsets[s * J + k + 1]):
                            due += sign * discount * probabilities[e] * values[successors[e], i]
                    new[s, i] += due
                    new[s, N] -= due
        values = new
    return values

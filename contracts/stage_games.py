"""The stage game of every state, and the rules that choose a joint action in it.

At a stage, `q[j, i]` is what agent i earns from the joint action j on: its expected reward now and, discounted, its
value at the next state. `q[j, N]` is the same for who chooses. An agent's *regret* of j is what its best reply to the
others' part of j would add.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from .mixed import TIE, mixed_equilibrium
from .tabulate import Table

COOPERATIVE = 0  # the joint action of highest total value
HIGHEST = 1  # the pure equilibrium of highest total value; where there is none, a mixed one, by the same rule
LOWEST = 2  # the pure equilibrium of lowest total value; likewise
PRINCIPAL = 3  # what maximises objective / alpha - payments, each payment the regret of the action recommended
DOMINANT = 4  # the same, each payment the largest regret over all actions of the others
ANSWER = 5  # what was chosen before, where it is an equilibrium; else as HIGHEST


class Stage(NamedTuple):
    """What a sweep over all states found."""

    values: np.ndarray  # (S, N + 1) the agents', payments included, and the chooser's
    joint: np.ndarray  # (S,) int64 the joint action chosen; J + m where the agents mix as in strategies[m]
    promised: np.ndarray  # (S, N) paid to each agent that does its part; zero without a principal
    tempting: np.ndarray  # (S, N, 2) int64: agent i is paid q[tempting[s, i, 0], i] - q[tempting[s, i, 1], i]
    unresolved: np.ndarray  # (S,) bool: no equilibrium was found; the smallest largest regret was taken
    strategies: np.ndarray  # (M, N, A) float64, each agent's probabilities where they mix


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
    stage = Stage(*_sweep(table, table.action_count, values, rule, alpha, discount, prior))
    return stage if not stage.unresolved.any() else _mix(table, stage, values, rule, alpha, discount)


def follow(table: Table, stage: Stage, values: np.ndarray, *, alpha: float, discount: float, steps: int) -> np.ndarray:
    """The `values` (S, N + 1) after `steps` more sweeps that choose, and are tempted, as in `stage`."""
    later: np.ndarray = _follow(table, stage.joint, stage.tempting, stage.strategies, values, alpha, discount, steps)
    return later


def chosen(table: Table, stage: Stage) -> np.ndarray:
    """(S, N) int64: the action chosen for each agent; where it mixes, its most probable one."""
    J = len(table.actions)
    actions = table.actions[np.minimum(stage.joint, J - 1)]
    mixing = stage.joint >= J
    actions[mixing] = stage.strategies[stage.joint[mixing] - J].argmax(axis=2)
    return actions


def _mix(table: Table, stage: Stage, values: np.ndarray, rule: int, alpha: float, discount: float) -> Stage:
    """The stage with mixed equilibria where no pure one was found."""
    ahead = expected(table, values, discount)
    sign = -1.0 if rule == LOWEST else 1.0
    lacking = np.flatnonzero(stage.unresolved)
    found, strategies, worth = _mixed(table, table.action_count, ahead, lacking, sign, alpha)
    cells = lacking[found]
    stage.joint[cells], stage.unresolved[cells] = len(table.actions) + np.arange(len(cells)), False
    stage.values[cells] = worth[found]
    return stage._replace(strategies=strategies[found])


@numba.njit(cache=True, nogil=True)
def expected(table: Table, values: np.ndarray, discount: float) -> np.ndarray:
    """(D, M): what the `values` (S, M) of the next state come to in each distribution, discounted."""
    D, M = len(table.offsets) - 1, values.shape[1]
    ahead = np.zeros((D, M))
    for d in range(D):
        for e in range(table.offsets[d], table.offsets[d + 1]):
            weight, following = discount * table.probabilities[e], table.successors[e]
            for m in range(M):
                ahead[d, m] += weight * values[following, m]
    return ahead


@numba.njit(cache=True, nogil=True)
def chance(actions: np.ndarray, j: int, strategies: np.ndarray) -> float:
    """How probable the joint action j is where each agent mixes on its own, as in `strategies` (N, A)."""
    product = 1.0
    for i in range(actions.shape[1]):
        product *= strategies[i, actions[j, i]]
    return product


@numba.njit(cache=True, nogil=True)
def _sweep(
    table: Table, A: int, values: np.ndarray, rule: int, alpha: float, discount: float, before: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    S, J, N = table.rewards.shape
    new = np.empty((S, N + 1))
    joint = np.empty(S, np.int64)
    promised = np.zeros((S, N))
    tempting = np.empty((S, N, 2), np.int64)
    unresolved = np.zeros(S, np.bool_)
    q = np.empty((J, N + 1))
    due = np.zeros((J, N))
    up, down = np.empty((J, N), np.int64), np.empty((J, N), np.int64)
    ahead = expected(table, values, discount)
    for s in range(S):
        for j in range(J):
            d = table.following[s, j]
            for i in range(N):
                q[j, i] = table.rewards[s, j, i] + ahead[d, i]
            q[j, N] = table.objective[s, j] / alpha + ahead[d, N]
        if rule != COOPERATIVE:
            _regrets(q, table.actions, A, due, up, down)
        if rule == DOMINANT:
            _largest_over_others(table.actions, A, due, up, down)
        j, resolved = _choose(q, due, rule, before[s] if before[s] < J else -1)
        joint[s], unresolved[s] = j, not resolved
        new[s] = q[j]
        for i in range(N):
            tempting[s, i] = j
            if rule in (PRINCIPAL, DOMINANT):
                promised[s, i] = due[j, i]
                tempting[s, i, 0], tempting[s, i, 1] = up[j, i], down[j, i]
                new[s, i] += due[j, i]
                new[s, N] -= due[j, i]
    return new, joint, promised, tempting, unresolved, np.empty((0, N, A))


@numba.njit(cache=True, nogil=True)
def _mixed(
    table: Table, A: int, ahead: np.ndarray, states: np.ndarray, sign: float, alpha: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether each of the `states` has a mixed equilibrium, its strategies, and what it is worth."""
    _, J, N = table.rewards.shape
    found, strategies = np.zeros(len(states), np.bool_), np.zeros((len(states), N, A))
    worth = np.empty((len(states), N + 1))
    q = np.empty((J, N))
    for place in range(len(states)):
        s = states[place]
        for j in range(J):
            for i in range(N):
                q[j, i] = table.rewards[s, j, i] + ahead[table.following[s, j], i]
        found[place], strategies[place] = mixed_equilibrium(q, table.actions, A, sign)
        _mean(table, s, strategies[place], ahead, alpha, worth[place])
    return found, strategies, worth


@numba.njit(cache=True, nogil=True)
def _mean(table: Table, s: int, strategies: np.ndarray, ahead: np.ndarray, alpha: float, worth: np.ndarray) -> None:
    """Fill in `worth` (N + 1,): the agents' and the chooser's values where the agents mix in state s."""
    J, N = table.actions.shape
    worth[:] = 0.0
    for j in range(J):
        share = chance(table.actions, j, strategies)
        for i in range(N):
            worth[i] += share * (table.rewards[s, j, i] + ahead[table.following[s, j], i])
        worth[N] += share * (table.objective[s, j] / alpha + ahead[table.following[s, j], N])


@numba.njit(cache=True, nogil=True)
def _regrets(q: np.ndarray, actions: np.ndarray, A: int, due: np.ndarray, up: np.ndarray, down: np.ndarray) -> None:
    """due[j, i] = max_a q[(a, j_-i), i] - q[j, i], zero where that is a tie; `up` and `down` are the two rows."""
    J, N = actions.shape
    stride = J
    for i in range(N):
        stride //= A
        for base in range(J):
            if actions[base, i]:
                continue
            best = base
            for j in range(base + stride, base + A * stride, stride):
                if q[j, i] > q[best, i]:
                    best = j
            tie = TIE * (1.0 + abs(q[best, i]))
            for j in range(base, base + A * stride, stride):
                gain = q[best, i] - q[j, i]
                due[j, i] = 0.0 if gain <= tie else gain
                up[j, i], down[j, i] = j if gain <= tie else best, j


@numba.njit(cache=True, nogil=True)
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


@numba.njit(cache=True, nogil=True)
def _choose(q: np.ndarray, due: np.ndarray, rule: int, before: int) -> tuple[int, bool]:
    """The joint action that `rule` takes, and whether it is a solution of the stage game."""
    J, N = due.shape
    selfish = rule in (HIGHEST, LOWEST, ANSWER)
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
        elif rule == ANSWER and k < 0:
            return j, True
        elif worth > best + TIE * (1.0 + abs(worth)):
            best, chosen = worth, j
    return (chosen, True) if chosen >= 0 else (calmest, False)


@numba.njit(cache=True, nogil=True)
def _follow(
    table: Table,
    joint: np.ndarray,
    tempting: np.ndarray,
    strategies: np.ndarray,
    values: np.ndarray,
    alpha: float,
    discount: float,
    steps: int,
) -> np.ndarray:
    S, J, N = table.rewards.shape
    for _ in range(steps):
        new = np.empty((S, N + 1))
        ahead = expected(table, values, discount)
        for s in range(S):
            j = joint[s]
            if j >= J:
                _mean(table, s, strategies[j - J], ahead, alpha, new[s])
                continue
            d = table.following[s, j]
            for i in range(N):
                new[s, i] = table.rewards[s, j, i] + ahead[d, i]
            new[s, N] = table.objective[s, j] / alpha + ahead[d, N]
            for i in range(N):
                up, down = tempting[s, i]
                if up != down:
                    due = table.rewards[s, up, i] + ahead[table.following[s, up], i]
                    due -= table.rewards[s, down, i] + ahead[table.following[s, down], i]
                    new[s, i] += due
                    new[s, N] -= due
        values = new
    return values

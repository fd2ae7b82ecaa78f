"""The stage game of every state, and the choice of a joint action in it by a `Rule`: one sweep over all states.

1. `q[j, i]`, agent i's value of the joint action j, is its expected reward and the discounted value of the next state.
   `q[j, N]` is the same of the chooser, who values objective / alpha.
2. An agent's *regret* of j is what its best response to the others' part of j would add.
3. A selfish rule takes the best joint action without regrets, a pure Nash equilibrium. Where there is none it takes the
   mixed one that is found (`mixed_equilibrium`), else the joint action whose largest regret is smallest.
4. A principal's rule takes the joint action of highest objective / alpha - payments. The least payment that makes an
   agent's part of j a best response is its regret of j; the least that makes it a dominant strategy is its largest
   regret of that action, or its regret beside what the others really did (`contingent_payments`), which is its regret
   of j while they follow. Backward induction with this rule gives the subgame-perfect principal, who cannot commit
   (Ivanov et al. 2024, arXiv:2407.18074).
5. By PRINCIPAL it may *abstain*: pay nothing, and let the agents play the selfish equilibrium of the stage, as HIGHEST
   takes it. A pure one it can have played for nothing anyway. So it abstains where there is none and the mixed one is
   worth more to it than any recommendation less the least payments.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from ..normal_form.mixed_equilibrium import mixed_equilibrium
from ..tables.table import Table
from ..tolerances import PAYOFF_TIE
from .regrets import best_response, fill_regrets, largest_over_others, largest_regret, most_tempting
from .rules import Rule

MAX_BLOCK, BLOCK_BYTES = 64, 1 << 18  # stage games worked on at once, and what their numbers may take of the cache


class Stage(NamedTuple):
    """The choices of a sweep over all states, and their values."""

    values: np.ndarray  # (S, N + 1) of the agents, payments included, and of the chooser
    joint: np.ndarray  # (S,) int64 the joint action chosen; J + m where agents mix as in strategies[m]
    promised: np.ndarray  # (S, N) paid to each agent that does its part; zero without a principal
    tempting: np.ndarray  # (S, N, 2) int64: agent i is paid q[tempting[s, i, 0], i] - q[tempting[s, i, 1], i]
    unresolved: np.ndarray  # (S,) bool: no equilibrium was found; the largest regret is smallest
    strategies: np.ndarray  # (M, N, A) float64, each agent's probabilities where they mix


def sweep(
    table: Table,
    values: np.ndarray,
    *,
    rule: Rule,
    alpha: float,
    discount: float,
    before: np.ndarray | None = None,
) -> Stage:
    """Solve the stage game of every state by `rule`, given the `values` (S, N + 1) of what follows.

    Ties go to the choice made `before` (S,), else to the first joint action.
    """
    prior = np.full(table.states, -1) if before is None else before
    stage: Stage = _sweep(table, table.action_count, expected(table, values, discount), int(rule), alpha, prior)
    return stage


def follow(table: Table, stage: Stage, values: np.ndarray, *, alpha: float, discount: float, steps: int) -> np.ndarray:
    """Evaluate `stage`: the `values` (S, N + 1) after `steps` more sweeps with its choices and tempting deviations."""
    later: np.ndarray = _follow(table, stage.joint, stage.tempting, stage.strategies, values, alpha, discount, steps)
    return later


def chosen(table: Table, stage: Stage) -> np.ndarray:
    """(S, N) int64: each agent's chosen action; where it mixes, its most probable one."""
    J = len(table.actions)
    actions = table.actions[np.minimum(stage.joint, J - 1)]
    mixing = stage.joint >= J
    actions[mixing] = stage.strategies[stage.joint[mixing] - J].argmax(axis=2)
    return actions


def mixing(table: Table, stage: Stage) -> tuple[np.ndarray, np.ndarray]:
    """(M,) and (M, N, A): the states in which agents mix, and each agent's probabilities there."""
    J = len(table.actions)
    states = np.flatnonzero(stage.joint >= J)
    return states, stage.strategies[stage.joint[states] - J]


@numba.njit(cache=True, nogil=True)
def expected(table: Table, values: np.ndarray, discount: float) -> np.ndarray:
    """(D, M): the discounted expectation of the next state's `values` (S, M) in each distribution."""
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
    """The probability of the joint action j where agents mix independently by `strategies` (N, A)."""
    product = 1.0
    for i in range(actions.shape[1]):
        product *= strategies[i, actions[j, i]]
    return product


@numba.njit(cache=True, nogil=True)
def _sweep(table: Table, A: int, ahead: np.ndarray, rule: int, alpha: float, before: np.ndarray) -> Stage:
    S, J, N = table.rewards.shape
    new = np.empty((S, N + 1))
    joint = np.empty(S, np.int64)
    promised = np.zeros((S, N))
    tempting = np.empty((S, N, 2), np.int64)
    unresolved = np.zeros(S, np.bool_)
    L = max(1, min(S, MAX_BLOCK, BLOCK_BYTES // (8 * J * (3 * N + 1))))
    q = np.zeros((N + 1, J, L))
    regrets, raised = np.zeros((N, J, L)), np.zeros((N, J, L))
    due = raised if rule == Rule.DOMINANT else regrets
    prior, choice, pure = np.full(L, -1), np.empty(L, np.int64), np.empty(L, np.bool_)
    game, owed = np.empty((J, N + 1)), np.empty((J, N))  # of the stage games in which agents may mix
    strategies, mixed = np.empty((1, N, A)), 0
    for first in range(0, S, L):
        count = min(L, S - first)
        for b in range(count):
            _fill(table, first + b, ahead, alpha, q[:, :, b].T)
            prior[b] = before[first + b] if before[first + b] < J else -1
        if rule != Rule.COOPERATIVE:
            fill_regrets(q, A, regrets)
        if rule == Rule.DOMINANT:
            largest_over_others(table.actions, A, regrets, raised)
        _choose(q, due, rule, prior, choice, pure)
        for b in range(count):
            s, resolved = first + b, choice[b] >= 0
            j = choice[b] if resolved else _least_regret(due, prior[b], b)
            joint[s] = j
            new[s] = q[:, j, b]
            if not resolved or (rule == Rule.PRINCIPAL and not pure[b] and _may_abstain(q, due, j, b)):
                game[:], owed[:] = q[:, :, b].T, due[:, :, b].T
                found, strategy = mixed_equilibrium(game[:, :N], table.actions, A, -1.0 if rule == Rule.LOWEST else 1.0)
                unresolved[s] = not (resolved or found)
                if found and (not resolved or _abstains(game, table.actions, owed, j, strategy)):
                    if mixed == len(strategies):
                        strategies = np.concatenate((strategies, strategies))
                    joint[s], strategies[mixed] = J + mixed, strategy
                    _mean(game, table.actions, strategy, new[s])
                    mixed += 1
                    tempting[s] = 0  # nobody is paid
                    continue
            for i in range(N):
                tempting[s, i] = j
                if rule in (Rule.PRINCIPAL, Rule.DOMINANT, Rule.CONTINGENT):
                    promised[s, i] = due[i, j, b]
                    down = most_tempting(table.actions, regrets, i, j, b) if rule == Rule.DOMINANT else j
                    tempting[s, i, 0], tempting[s, i, 1] = best_response(q, A, regrets, i, down, b), down
                    new[s, i] += due[i, j, b]
                    new[s, N] -= due[i, j, b]
    return Stage(new, joint, promised, tempting, unresolved, strategies[:mixed].copy())


@numba.njit(cache=True, nogil=True)
def _choose(
    q: np.ndarray, due: np.ndarray, rule: int, before: np.ndarray, choice: np.ndarray, pure: np.ndarray
) -> None:
    """In every game of a block, the joint action that `rule` takes, or -1 where that does not solve the stage game.

    Also whether some joint action is free of regrets, a `pure` equilibrium.
    """
    N, J, L = due.shape
    selfish = rule in (Rule.HIGHEST, Rule.LOWEST, Rule.ANSWER)
    paying = rule in (Rule.PRINCIPAL, Rule.DOMINANT, Rule.CONTINGENT)
    sign = -1.0 if rule == Rule.LOWEST else 1.0
    best, value, largest = np.full(L, -np.inf), np.empty(L), np.empty(L)
    choice[:], pure[:] = -1, False
    for b in range(L):
        j = before[b]
        if j >= 0 and not (selfish and largest_regret(due, j, b) > 0.0):
            choice[b] = j
            best[b] = _utility(q[:, :, b].T, due[:, :, b].T, j) if paying else _total(q, sign, j, b)
            if rule == Rule.ANSWER:
                best[b] = np.inf
    for j in range(J):
        largest[:] = 0.0
        for b in range(L):
            value[b] = q[N, j, b] if paying else 0.0
        for i in range(N):
            for b in range(L):
                value[b] += -due[i, j, b] if paying else sign * q[i, j, b]
                largest[b] = due[i, j, b] if due[i, j, b] > largest[b] else largest[b]
        for b in range(L):
            calm = largest[b] <= 0.0
            pure[b] |= calm
            this = value[b] if calm or not selfish else -np.inf
            better = this > best[b] + PAYOFF_TIE * (1.0 + abs(this))
            best[b], choice[b] = (this, j) if better else (best[b], choice[b])


@numba.njit(cache=True, nogil=True)
def _total(q: np.ndarray, sign: float, j: int, b: int) -> float:
    """The sum of the agents' values of j in game b, times `sign`."""
    total = 0.0
    for i in range(len(q) - 1):
        total += sign * q[i, j, b]
    return total


@numba.njit(cache=True, nogil=True)
def _least_regret(due: np.ndarray, before: int, b: int) -> int:
    """In game b, the joint action whose largest regret is smallest."""
    least, calmest = np.inf, 0
    for k in range(-1, due.shape[1]):
        j = k if k >= 0 else before
        if j >= 0:
            largest = largest_regret(due, j, b)
            if largest < least - PAYOFF_TIE * (1.0 + largest):
                least, calmest = largest, j
    return calmest


@numba.njit(cache=True, nogil=True)
def _may_abstain(q: np.ndarray, due: np.ndarray, j: int, b: int) -> bool:
    """Whether to pay nothing may be better in game b, which has no pure equilibrium: j is not ideal."""
    return q[-1, :, b].max() > _utility(q[:, :, b].T, due[:, :, b].T, j)


@numba.njit(cache=True, nogil=True)
def _abstains(q: np.ndarray, actions: np.ndarray, due: np.ndarray, j: int, strategies: np.ndarray) -> bool:
    """Whether the agents' `strategies` (N, A), unpaid, are worth more to the principal than to have j played."""
    unpaid, paid = 0.0, _utility(q, due, j)
    for k in range(len(q)):
        unpaid += chance(actions, k, strategies) * q[k, -1]
    return unpaid > paid + PAYOFF_TIE * (1.0 + abs(unpaid))


@numba.njit(cache=True, nogil=True)
def _utility(q: np.ndarray, due: np.ndarray, j: int) -> float:
    """The principal's value of j less what it pays for it; `q` is (J, N + 1) and `due` (J, N)."""
    value = q[j, -1]
    for i in range(due.shape[1]):
        value -= due[j, i]
    return value


@numba.njit(cache=True, nogil=True)
def _fill(table: Table, s: int, ahead: np.ndarray, alpha: float, q: np.ndarray) -> None:
    """Fill in `q` (J, N + 1): the values of every joint action in state s."""
    _, J, N = table.rewards.shape
    for j in range(J):
        d = table.following[s, j]
        for i in range(N):
            q[j, i] = table.rewards[s, j, i] + ahead[d, i]
        q[j, N] = table.objective[s, j] / alpha + ahead[d, N]


@numba.njit(cache=True, nogil=True)
def _mean(q: np.ndarray, actions: np.ndarray, strategies: np.ndarray, value: np.ndarray) -> None:
    """Fill in `value` (N + 1,): the expected values of the agents and of the chooser where the agents mix."""
    value[:] = 0.0
    for j in range(len(q)):
        share = chance(actions, j, strategies)
        for i in range(len(value)):
            value[i] += share * q[j, i]


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
    q = np.empty((J, N + 1))
    for _ in range(steps):
        new = np.empty((S, N + 1))
        ahead = expected(table, values, discount)
        for s in range(S):
            j = joint[s]
            if j >= J:
                _fill(table, s, ahead, alpha, q)
                _mean(q, table.actions, strategies[j - J], new[s])
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

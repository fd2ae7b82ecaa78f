"""The meta-algorithm of Ivanov et al. 2024 (arXiv:2407.18074): agents and principal respond to each other in rounds.

1. The agents' game is solved for fixed contracts. At every step and state the agents play the recommendation if nobody
   gains by another action, given the payments there and all later values; else the selfish equilibrium of highest total
   value. That is also their answer to a principal who abstains.
2. The principal's game is solved for these values of the agents, without the payment due now and with the old contracts
   from the next step on. To have a joint action played costs the principal the agents' regrets of it.
3. Repeat until a round changes no contract.

A contract recommends an action to each of several agents, whose actions are observable, and pays it for that action
alone. Over a finite horizon of T steps the algorithm ends after at most T + 1 rounds, at the subgame-perfect
equilibrium that backward induction finds: after k rounds the contracts of the last k steps are right, and the last
round finds nothing to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..markov.evaluation import evaluate_policy
from ..markov.policies import Mixed
from ..markov.rules import Rule
from ..markov.stage_games import chosen, mixing, sweep
from ..tables.table import Table


class Round(NamedTuple):
    """The contracts at the end of a round, and the welfare and payment of obedience to them."""

    number: int  # from 1
    changed: int  # (state, step) pairs whose recommendation or payment changed
    actions: np.ndarray  # (T, S, N) int64, recommended; where the principal abstains, each agent's most probable action
    promised: np.ndarray  # (T, S, N) float64
    welfare: float  # over the horizon
    payment: float


def rounds(table: Table, horizon: int, *, alpha: float = 0.1) -> Iterator[Round]:
    """The rounds, from contracts that pay nothing up to the one that changes nothing, included."""
    S, _, N = table.rewards.shape
    actions, promised = np.zeros((horizon, S, N), np.int64), np.zeros((horizon, S, N))
    for number in range(1, horizon + 2):
        before = actions, promised
        actions, promised, mixed = _principal(table, _agents(table, actions, promised), alpha)
        changed = np.count_nonzero(((actions != before[0]) | (promised != before[1])).any(axis=2))
        followed = evaluate_policy(table, actions, promised, horizon, mixed=mixed)
        yield Round(number, int(changed), actions, promised, followed.welfare, followed.payment)
        if changed == 0:
            return


def _agents(table: Table, actions: np.ndarray, promised: np.ndarray) -> np.ndarray:
    """(T + 1, S, N): the agents' values from each step on, in their answer to fixed contracts."""
    T, S, N = promised.shape
    values = np.zeros((T + 1, S, N + 1))  # the last column, of a principal, is unused
    for t in reversed(range(T)):
        followed = table.actions[None] == actions[t][:, None]  # (S, J, N)
        paid = table._replace(rewards=table.rewards + followed * promised[t][:, None])
        recommended = table.joint(actions[t])
        values[t] = sweep(paid, values[t + 1], rule=Rule.ANSWER, alpha=1.0, discount=1.0, before=recommended).values
    return values[..., :N]


def _principal(table: Table, agents: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray, Mixed]:
    """The principal's recommendations and payments, (T, S, N) each, given the values `agents` (T + 1, S, N).

    Where it abstains it pays nothing, and the agents mix.
    """
    T, S, N = len(agents) - 1, *agents.shape[1:]
    actions, promised = np.empty((T, S, N), np.int64), np.empty((T, S, N))
    own, mixed = np.zeros(S), []
    for t in reversed(range(T)):
        values = np.concatenate([agents[t + 1], own[:, None]], axis=1)
        stage = sweep(table, values, rule=Rule.PRINCIPAL, alpha=alpha, discount=1.0)
        actions[t], promised[t], own = chosen(table, stage), stage.promised, stage.values[:, N]
        states, strategies = mixing(table, stage)
        mixed.append(Mixed(t * S + states, strategies))
    return actions, promised, Mixed.together(mixed)

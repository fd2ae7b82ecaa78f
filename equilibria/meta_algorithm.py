"""The meta-algorithm of Ivanov et al. 2024: agents and principal answer each other until nothing changes.

In every round the agents' game is solved for fixed contracts, then the principal's for fixed answers of theirs. Over a
finite horizon of T steps this ends, after at most T + 1 rounds, at the subgame-perfect equilibrium that backward
induction finds: the contracts of the last k steps are right after k rounds, and the last round finds nothing to change.

With several agents, whose actions are seen, it reads so. A contract recommends an action to each and pays it for that
action alone. The *agents* play, at every step and state, what is recommended if nobody gains by another action, given
the payments there and what everyone earns later; else the selfish equilibrium of highest total value. The *principal*
then knows what every joint action is worth to the agents, without the payment due now and with the old contracts from
the next step on; it solves its own game, in which to have a joint action played costs the agents' regrets of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .evaluation import evaluate_policy
from .rules import Rule
from .stage_games import sweep
from .table import Table


class Round(NamedTuple):
    """The contracts at the end of a round, and what comes of them if they are followed."""

    number: int  # from 1
    changed: int  # (state, step) pairs whose recommendation or payment changed
    actions: np.ndarray  # (T, S, N) int64, recommended
    promised: np.ndarray  # (T, S, N) float64
    welfare: float  # over the horizon
    payment: float


def rounds(table: Table, horizon: int, *, alpha: float = 0.1) -> Iterator[Round]:
    """The rounds, from contracts that pay nothing, up to and with the one that changes nothing."""
    S, _, N = table.rewards.shape
    actions, promised = np.zeros((horizon, S, N), np.int64), np.zeros((horizon, S, N))
    for number in range(1, horizon + 2):
        before = actions, promised
        actions, promised = _principal(table, _agents(table, actions, promised), alpha)
        changed = np.count_nonzero(((actions != before[0]) | (promised != before[1])).any(axis=2))
        worth = evaluate_policy(table, actions, promised, horizon)
        yield Round(number, int(changed), actions, promised, worth.welfare, worth.payment)
        if changed == 0:
            return


def _agents(table: Table, actions: np.ndarray, promised: np.ndarray) -> np.ndarray:
    """(T + 1, S, N): what the agents' answer to fixed contracts is worth to them from each step on."""
    T, S, N = promised.shape
    values = np.zeros((T + 1, S, N + 1))  # the last column, of a principal, stays out of it
    for t in reversed(range(T)):
        followed = table.actions[None] == actions[t][:, None]  # (S, J, N)
        paid = table._replace(rewards=table.rewards + followed * promised[t][:, None])
        recommended = table.joint(actions[t])
        values[t] = sweep(paid, values[t + 1], rule=Rule.ANSWER, alpha=1.0, discount=1.0, before=recommended).values
    return values[..., :N]


def _principal(table: Table, agents: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """The best contracts (T, S, N), twice: recommended and promised, where agents earn `agents` (T + 1, S, N) later."""
    T, S, N = len(agents) - 1, *agents.shape[1:]
    actions, promised = np.empty((T, S, N), np.int64), np.empty((T, S, N))
    own = np.zeros(S)
    for t in reversed(range(T)):
        values = np.concatenate([agents[t + 1], own[:, None]], axis=1)
        stage = sweep(table, values, rule=Rule.PRINCIPAL, alpha=alpha, discount=1.0)
        actions[t], promised[t], own = table.actions[stage.joint], stage.promised, stage.values[:, N]
    return actions, promised

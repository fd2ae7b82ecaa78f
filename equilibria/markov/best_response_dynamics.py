"""Iterated best response: agents take their best responses in turn until nobody changes anything.

Where the dynamics end, nobody gains by deviating: the policy is a Nash equilibrium, in pure strategies. They may also
go round in circles; both functions therefore stop after a number of rounds.

1. In every round each agent in turn replaces its part of the joint policy by its best response to the others' parts.
   It keeps its action wherever it is indifferent.
2. The dynamics end with a round that changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..tables.table import Table
from ..tolerances import PAYOFF_TIE
from .best_response import action_values, stationary_best_response

ROUNDS = 30  # without values to begin with: the dynamics end within a few rounds or go round in circles
STATIONARY_ROUNDS = 100


class Dynamics(NamedTuple):
    """Where the dynamics stood after their last round."""

    joint: np.ndarray  # (S,) int64
    values: np.ndarray  # (S, N or more) the agents' values, in the first N columns
    changing: np.ndarray  # (S,) bool: the joint action changed in the last round
    gain: float  # the largest gain of any agent in the last round, relative to 1 + the size of its values


def iterated_best_response(
    table: Table, actions: np.ndarray, horizon: int, *, discount: float | None = None
) -> np.ndarray:
    """The policy that the dynamics reach from `actions` (S, N) after at most `ROUNDS`.

    It is (S, N), stationary, with a `discount`, else (T, S, N) over `horizon` steps.
    """
    if discount is None:
        actions = np.repeat(actions[None], horizon, axis=0)
    for _ in range(ROUNDS):
        before = actions
        for agent in range(actions.shape[-1]):
            actions = _with_best_response(table, actions, agent, discount)
        if np.array_equal(actions, before):
            break
    return actions


def stationary_dynamics(table: Table, joint: np.ndarray, values: np.ndarray, discount: float) -> Dynamics:
    """The dynamics from the stationary policy `joint` (S,), after at most `STATIONARY_ROUNDS`.

    `values` (S, N or more) are a first guess of the agents' values. Nobody is paid.
    """
    N = table.rewards.shape[2]
    values, unpaid = values.copy(), np.zeros((table.states, N))
    for _ in range(STATIONARY_ROUNDS):
        before, gain = joint, 0.0
        for i in range(N):
            kept, _ = stationary_best_response(table, joint, unpaid, i, discount, improve=False, values=values[:, i])
            values[:, i], joint = stationary_best_response(table, joint, unpaid, i, discount, values=kept)
            gain = max(gain, relative_distance(values[:, i], kept))
        if np.array_equal(joint, before):
            break
    return Dynamics(joint, values, joint != before, gain)


def relative_distance(new: np.ndarray, old: np.ndarray) -> float:
    """The largest difference between two arrays, relative to 1 + the size of the `new` one."""
    return float(np.abs(new - old).max() / (1.0 + np.abs(new).max()))


def _with_best_response(table: Table, actions: np.ndarray, agent: int, discount: float | None) -> np.ndarray:
    """The policy, (S, N) with a `discount`, else (T, S, N), with an agent's best response in it."""
    if discount is not None:
        unpaid = np.zeros(actions.shape)
        _, joint = stationary_best_response(table, table.joint(actions), unpaid, agent, discount)
        return table.actions[joint]
    actions, values = actions.copy(), np.zeros(table.states)
    for t in reversed(range(len(actions))):
        q = action_values(table, table.joint(actions[t]), agent, values, 1.0)
        values, own = q.max(axis=1), actions[t, :, agent]
        kept = np.take_along_axis(q, own[:, None], axis=1)[:, 0]
        actions[t, :, agent] = np.where(values > kept + PAYOFF_TIE * (1.0 + abs(values)), q.argmax(axis=1), own)
    return actions

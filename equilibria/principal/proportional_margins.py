"""Payments with proportional margins: the more welfare a deviation loses, the worse the payments make it for the agent.

Least payments leave agents indifferent: learners that are nearly right then take actions that are nearly as good for
them, however much welfare these cost. A margin of the same size everywhere is paid for trifles too, and draws agents to
where it is paid. Here obedience is better than an action by `stake` times the welfare that the action loses. Agents'
values include the margins to come, so that nobody gains by deviating anywhere.
"""

from __future__ import annotations

import numpy as np

from ..markov.best_response import action_values, stationary_best_response
from ..tables.table import Table
from ..tolerances import PAYOFF_TIE


def staked_payments(table: Table, recommended: np.ndarray, *, stake: float, discount: float) -> np.ndarray:
    """(S, N): the least payments for following the stationary policy `recommended` (S, N) with these margins.

    For every action a of agent i, with the others as recommended and all following from the next step on,

        b_i(s) + Q_i(s, a*) >= Q_i(s, a) + stake max(0, W(s, a*) - W(s, a)),

    where Q_i includes later payments, not the one now, and W is the principal's value before it pays. With `stake` 0
    they are the least payments of a subgame-perfect principal.
    """
    joint, nothing = table.joint(recommended), np.zeros(recommended.shape)
    promised = np.empty(recommended.shape)
    for i in range(recommended.shape[1]):
        margins = stake * _lost(table, joint, i, discount)
        values, _ = stationary_best_response(_with_margins(table, joint, i, margins), joint, nothing, i, discount)
        due = values - _kept(table, joint, i, action_values(table, joint, i, values, discount))
        promised[:, i] = np.where(due > PAYOFF_TIE * (1.0 + np.abs(values)), due, 0.0)
    return promised


def _lost(table: Table, joint: np.ndarray, agent: int, discount: float) -> np.ndarray:
    """(S, A): the principal's loss, before it pays, where one agent takes each action for one step."""
    N = table.rewards.shape[2]
    common = table._replace(rewards=np.repeat(table.objective[..., None], N, axis=2))
    values, _ = stationary_best_response(common, joint, np.zeros((len(joint), N)), agent, discount, improve=False)
    value = action_values(common, joint, agent, values, discount)
    return np.maximum(_kept(table, joint, agent, value)[:, None] - value, 0.0)


def _with_margins(table: Table, joint: np.ndarray, agent: int, margins: np.ndarray) -> Table:
    """The table in which an agent earns `margins` (S, A) more by its actions while the others keep to `joint` (S,)."""
    stride = table.action_count ** (table.rewards.shape[2] - 1 - agent)
    own = joint - table.actions[joint, agent] * stride
    rewards, s = table.rewards.copy(), np.arange(table.states)
    for a in range(table.action_count):
        rewards[s, own + a * stride, agent] += margins[:, a]
    return table._replace(rewards=rewards)


def _kept(table: Table, joint: np.ndarray, agent: int, values: np.ndarray) -> np.ndarray:
    """(S,): of the values (S, A) of an agent's actions, that of its part of `joint`."""
    kept: np.ndarray = values[np.arange(table.states), table.actions[joint, agent]]
    return kept

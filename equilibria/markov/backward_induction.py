"""Backward induction: the undiscounted game over a finite horizon, solved from its last step to its first.

1. After the last step all values are zero.
2. At step t solve the stage game of every state by the rule, given the values of step t + 1. The chosen joint actions
   and their payments are the policy of step t, and their values are what step t - 1 counts on.

By the rules HIGHEST and LOWEST the policy is a subgame-perfect equilibrium of the agents wherever a stage has one that
is found; by PRINCIPAL, DOMINANT and CONTINGENT that of a principal who cannot commit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..tables.table import Table
from .policies import Mixed, Policy
from .rules import Rule
from .stage_games import Stage, chosen, mixing, sweep


def backward_induction(table: Table, rule: Rule, horizon: int, alpha: float) -> Iterator[Stage]:
    """The stages of the finite game, undiscounted, that of the last step first."""
    values = np.zeros((table.states, table.rewards.shape[2] + 1))
    for _ in range(horizon):
        stage = sweep(table, values, rule=rule, alpha=alpha, discount=1.0)
        values = stage.values
        yield stage


def finite_policy(table: Table, rule: Rule, horizon: int, alpha: float) -> Policy:
    """The policy (T, S, N) of `rule` over the horizon."""
    S, _, N = table.rewards.shape
    actions, promised = np.empty((horizon, S, N), np.int16), np.empty((horizon, S, N))
    unresolved, mixed = 0, []
    for t, stage in zip(reversed(range(horizon)), backward_induction(table, rule, horizon, alpha), strict=True):
        actions[t], promised[t] = chosen(table, stage), stage.promised
        unresolved += int(stage.unresolved.sum())
        states, strategies = mixing(table, stage)
        mixed.append(Mixed(t * S + states, strategies))
    return Policy(actions, promised, Mixed.together(mixed), unresolved, residual=0.0, converged=True)

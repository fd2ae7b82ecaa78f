"""What a rule decides in every state: by backward induction over a horizon, or in the game that never ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .evaluation import Mixed
from .rules import Rule
from .stage_games import Stage, chosen, sweep
from .table import Table
from .value_iteration import stationary


class Policy(NamedTuple):
    """What every agent does, and what it is paid for doing so."""

    actions: np.ndarray  # (S, N) int where stationary, else (T, S, N); where an agent mixes, its most probable action
    promised: np.ndarray  # the same shape, float64; zero without a principal
    mixed: Mixed  # the (state, step) pairs in which agents mix
    unresolved: int  # how many pairs have no equilibrium that was found
    residual: float  # by how much a stationary policy's values still moved, relative; 0 for a finite horizon
    settled: bool  # whether the rule alone gave it


def policy(table: Table, rule: Rule, horizon: int, *, discount: float | None, alpha: float) -> Policy:
    """The policy of a rule of `stage_games`: finite without a `discount`, stationary with one."""
    if discount is None:
        return _backward_induction(table, rule, horizon, alpha)
    stage, residual, settled = stationary(table, rule, discount, alpha)
    unresolved = int(stage.unresolved.sum())
    return Policy(chosen(table, stage), stage.promised, _where_mixed(table, stage), unresolved, residual, settled)


def backward(table: Table, rule: Rule, horizon: int, alpha: float) -> Iterator[Stage]:
    """The stages of the finite game, undiscounted, the last step's first."""
    values = np.zeros((table.states, table.rewards.shape[2] + 1))
    for _ in range(horizon):
        stage = sweep(table, values, rule=rule, alpha=alpha, discount=1.0)
        values = stage.values
        yield stage


def _backward_induction(table: Table, rule: Rule, horizon: int, alpha: float) -> Policy:
    S, _, N = table.rewards.shape
    actions, promised = np.empty((horizon, S, N), np.int16), np.empty((horizon, S, N))
    unresolved, mixed = 0, []
    for t, stage in zip(reversed(range(horizon)), backward(table, rule, horizon, alpha), strict=True):
        actions[t], promised[t] = chosen(table, stage), stage.promised
        unresolved += int(stage.unresolved.sum())
        mixed.append(_where_mixed(table, stage, t))
    everywhere = Mixed(*(np.concatenate(parts) for parts in zip(*mixed, strict=True)))
    return Policy(actions, promised, everywhere, unresolved, 0.0, True)


def _where_mixed(table: Table, stage: Stage, t: int = 0) -> Mixed:
    J = len(table.actions)
    states = np.flatnonzero(stage.joint >= J)
    return Mixed(t * table.states + states, stage.strategies[stage.joint[states] - J])

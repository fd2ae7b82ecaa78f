"""Stationary solutions of the discounted game that never ends: fixed points of the stage games, where there are any.

Value iteration settles for the social optimum and, as far as seen, for the principal. It need not for the others:
selfish agents' choices can go round in circles, and dominant payments feed on themselves. So each rule says below how
it goes on, and what comes out carries its residual; best-response gains, computed apart, say what it is worth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .evaluation import stationary_reply
from .stage_games import DOMINANT, HIGHEST, LOWEST, PRINCIPAL, Stage, follow, sweep
from .tabulate import Table

CLOSE = 1e-12  # values have converged when a sweep moves them by less, relative to 1 + their size
STILL = 3  # sweeps without a change of choice after which the choice is followed for a while, which is cheap
FOLLOW = 40  # steps that it is followed
SWEEPS = 3000  # after which value iteration is given up
SELFISH_SWEEPS = 100  # the same for selfish agents, who then best-reply in turn
ROUNDS = 100  # of best replies in turn
DAMPED_SWEEPS, DAMPING = 300, 0.3  # of dominant payments, each sweep moving the values by this share


class Stationary(NamedTuple):
    """Where a rule ended."""

    stage: Stage
    residual: float  # by how much its values still moved, relative to 1 + their size
    settled: bool  # whether value iteration by the rule alone converged


def stationary(table: Table, rule: int, discount: float, alpha: float) -> Stationary:
    """The stationary choice of `rule`, or what stands for it where there is none.

    HIGHEST and LOWEST: where value iteration does not settle, agents best-reply in turn from where it stood, until
    nobody gains: an equilibrium, but of the rule's neighbourhood only. DOMINANT: damped, from the principal's solution.
    """
    if rule == DOMINANT:
        return _damped(table, _iterate(table, PRINCIPAL, discount, alpha, SWEEPS).stage, discount, alpha)
    selfish = rule in (HIGHEST, LOWEST)
    found = _iterate(table, rule, discount, alpha, SELFISH_SWEEPS if selfish else SWEEPS)
    return _replies_in_turn(table, found.stage, discount) if selfish and not found.settled else found


def _iterate(table: Table, rule: int, discount: float, alpha: float, limit: int) -> Stationary:
    """Value iteration, at most `limit` sweeps."""
    values = np.zeros((table.states, table.rewards.shape[2] + 1))
    before, still = None, 0
    for _ in range(limit):
        stage = sweep(table, values, rule=rule, alpha=alpha, discount=discount, before=before)
        residual = _moved(stage.values, values)
        if residual <= CLOSE:
            break
        still = still + 1 if before is not None and np.array_equal(stage.joint, before) else 0
        before, values = stage.joint, stage.values
        if still >= STILL:
            values = follow(table, stage, values, alpha=alpha, discount=discount, steps=FOLLOW)
    return Stationary(stage, residual, residual <= CLOSE)


def _damped(table: Table, stage: Stage, discount: float, alpha: float) -> Stationary:
    """Dominant payments, from the values and choices of `stage`."""
    values = stage.values
    for _ in range(DAMPED_SWEEPS):
        stage = sweep(table, values, rule=DOMINANT, alpha=alpha, discount=discount, before=stage.joint)
        residual = _moved(stage.values, values)
        if residual <= CLOSE:
            break
        values = values + DAMPING * (stage.values - values)
    return Stationary(stage, residual, residual <= CLOSE)


def _replies_in_turn(table: Table, stage: Stage, discount: float) -> Stationary:
    """Each agent in turn takes its best reply in the whole game, until none changes anything.

    The residual is the largest gain of the last round. A state is unresolved where its action was still changing.
    """
    joint, values, nothing = stage.joint, stage.values.copy(), np.zeros_like(stage.promised)
    for _ in range(ROUNDS):
        before, residual = joint, 0.0
        for i in range(nothing.shape[1]):
            kept, _ = stationary_reply(table, joint, nothing, i, discount, improve=False, values=values[:, i])
            values[:, i], joint = stationary_reply(table, joint, nothing, i, discount, values=kept)
            residual = max(residual, _moved(values[:, i], kept))
        if np.array_equal(joint, before):
            break
    return Stationary(stage._replace(joint=joint, values=values, unresolved=joint != before), residual, False)


def _moved(new: np.ndarray, old: np.ndarray) -> float:
    return float(np.abs(new - old).max() / (1.0 + np.abs(new).max()))

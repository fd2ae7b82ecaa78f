"""Stationary solutions of the discounted game that never ends: the fixed points of the stage games, where there are any.

Value iteration settles for the social optimum and, as far as seen, for the principal. It need not for the others:
selfish agents' choices can go round in circles, and dominant payments feed on themselves. So each rule says below how
it goes on, and what comes out carries its residual; best-response gains, computed apart, say what it is worth.
"""

from __future__ import annotations

import numpy as np

from .evaluation import stationary_reply
from .stage_games import DOMINANT, HIGHEST, LOWEST, PRINCIPAL, Stage, follow, sweep
from .tabulate import Table

CLOSE = 1e-12  # values have converged when a sweep moves them by less, relative to 1 + their size
STILL = 3  # sweeps without a change of choice after which the choice is followed for a while, which is cheap
FOLLOW = 40  # steps that it is followed
SWEEPS = 3000  # after which value iteration is given up
SELFISH_SWEEPS = 200  # the same for selfish agents, who then best-reply in turn
ROUNDS = 100  # of best replies in turn
DAMPED_SWEEPS, DAMPING = 300, 0.3  # of dominant payments, each sweep moving the values by this share


def stationary(table: Table, rule: int, discount: float, alpha: float) -> tuple[Stage, float]:
    """The stationary choice of `rule`, and by how much its values still moved, relative to 1 + their size.

    HIGHEST and LOWEST: where value iteration does not settle, agents best-reply in turn from where it stood, until
    nobody gains: an equilibrium, but of the rule's neighbourhood only. DOMINANT: damped, from the principal's solution.
    """
    start = np.zeros((table.states, table.rewards.shape[2] + 1))
    if rule == DOMINANT:
        stage, _ = _iterate(table, PRINCIPAL, discount, alpha, start, SWEEPS)
        return _damped(table, stage, discount, alpha)
    limit = SELFISH_SWEEPS if rule in (HIGHEST, LOWEST) else SWEEPS
    stage, residual = _iterate(table, rule, discount, alpha, start, limit)
    if residual > CLOSE and rule in (HIGHEST, LOWEST):
        return _replies_in_turn(table, stage, discount)
    return stage, residual


def _iterate(
    table: Table, rule: int, discount: float, alpha: float, values: np.ndarray, limit: int
) -> tuple[Stage, float]:
    """Value iteration from `values`, at most `limit` sweeps."""
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
    return stage, residual


def _damped(table: Table, stage: Stage, discount: float, alpha: float) -> tuple[Stage, float]:
    """Dominant payments, from the values and choices of `stage`."""
    values = stage.values
    for _ in range(DAMPED_SWEEPS):
        stage = sweep(table, values, rule=DOMINANT, alpha=alpha, discount=discount, before=stage.joint)
        residual = _moved(stage.values, values)
        if residual <= CLOSE:
            break
        values = values + DAMPING * (stage.values - values)
    return stage, residual


def _replies_in_turn(table: Table, stage: Stage, discount: float) -> tuple[Stage, float]:
    """Each agent in turn takes its best reply in the whole game, until none changes anything.

    The residual is the largest gain of the last round. A state is unresolved where its action was still changing.
    """
    joint, values, nothing = stage.joint, stage.values.copy(), np.zeros_like(stage.promised)
    for _ in range(ROUNDS):
        before = joint
        residual = 0.0
        for i in range(nothing.shape[1]):
            kept, _ = stationary_reply(table, joint, nothing, i, discount, improve=False, values=values[:, i])
            values[:, i], joint = stationary_reply(table, joint, nothing, i, discount, values=kept)
            residual = max(residual, _moved(values[:, i], kept))
        if np.array_equal(joint, before):
            break
    return stage._replace(joint=joint, values=values, unresolved=joint != before), residual


def _moved(new: np.ndarray, old: np.ndarray) -> float:
    return float(np.abs(new - old).max() / (1.0 + np.abs(new).max()))

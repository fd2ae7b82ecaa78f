"""Stationary solutions of the discounted game that never ends: fixed points of the stage games, where there are any.

Value iteration settles for the social optimum, and for the principal in the Coin Game. It need not: selfish agents'
choices can go round in circles, as can a principal's in Cleanup, and dominant payments feed on themselves. So each rule
says below how it goes on, and what comes out carries its residual; best-response gains, computed apart, say what it is
worth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .evaluation import Mixed, leap, stationary_reply
from .rules import Rule
from .stage_games import Stage, chosen, follow, sweep
from .table import Table
from .tolerances import VALUE_CONVERGENCE

STILL = 3  # sweeps with hardly a change of choice after which the choice is followed for a while, which is cheap
CHANGES = 0.01  # the share of states that may change for that; none of selfish agents, whose choices may go in circles
FOLLOW = 40  # steps that it is followed
SWEEPS = 3000  # after which value iteration is given up
LIMITS = {Rule.HIGHEST: 100, Rule.LOWEST: 100, Rule.PRINCIPAL: 300}  # the same where there is another way to go on
ROUNDS = 100  # of best replies in turn
DAMPED_SWEEPS, DAMPING = 100, 0.3  # at the end for a principal, each moving the values by this share


class Stationary(NamedTuple):
    """Where a rule ended."""

    stage: Stage
    residual: float  # by how much its values still moved, relative to 1 + their size
    settled: bool  # whether value iteration by the rule alone converged


def stationary(table: Table, rule: Rule, discount: float, alpha: float) -> Stationary:
    """The stationary choice of `rule`, or what stands for it where there is none.

    HIGHEST and LOWEST: where value iteration does not settle, agents best-reply in turn from where it stood, until
    nobody gains: an equilibrium, but of the rule's neighbourhood only. PRINCIPAL: likewise in small steps; DOMINANT: in
    small steps from the principal's solution.
    """
    found = _iterate(table, Rule.PRINCIPAL if rule == Rule.DOMINANT else rule, discount, alpha)
    if rule == Rule.DOMINANT or (rule == Rule.PRINCIPAL and not found.settled):
        return _damped(table, rule, found.stage, discount, alpha)
    if rule in (Rule.HIGHEST, Rule.LOWEST) and not found.settled:
        return _replies_in_turn(table, found.stage, discount)
    return found


def _iterate(table: Table, rule: Rule, discount: float, alpha: float) -> Stationary:
    """Value iteration, as long as it may take."""
    values = np.zeros((table.states, table.rewards.shape[2] + 1))
    before, still = None, 0
    few = 0.0 if rule in (Rule.HIGHEST, Rule.LOWEST) else CHANGES * table.states
    for _ in range(LIMITS.get(rule, SWEEPS)):
        stage = sweep(table, values, rule=rule, alpha=alpha, discount=discount, before=before)
        residual = _moved(stage.values, values)
        if residual <= VALUE_CONVERGENCE:
            break
        still = still + 1 if before is not None and np.count_nonzero(stage.joint != before) <= few else 0
        before, values = stage.joint, leap(stage.values, values, discount)
        if still >= STILL:
            values = follow(table, stage, values, alpha=alpha, discount=discount, steps=FOLLOW)
            later = follow(table, stage, values, alpha=alpha, discount=discount, steps=1)
            values = leap(later, values, discount)
    return Stationary(stage, residual, residual <= VALUE_CONVERGENCE)


def _damped(table: Table, rule: Rule, stage: Stage, discount: float, alpha: float) -> Stationary:
    """Value iteration by small steps, from the values and choices of `stage`."""
    values = stage.values
    for _ in range(DAMPED_SWEEPS):
        stage = sweep(table, values, rule=rule, alpha=alpha, discount=discount, before=stage.joint)
        residual = _moved(stage.values, values)
        if residual <= VALUE_CONVERGENCE:
            break
        values = values + DAMPING * (leap(stage.values, values, discount) - values)
    return Stationary(stage, residual, residual <= VALUE_CONVERGENCE)


def _replies_in_turn(table: Table, stage: Stage, discount: float) -> Stationary:
    """Each agent in turn takes its best reply in the whole game, until none changes anything.

    Where agents mixed they begin with their most probable actions. The residual is the largest gain of the last round.
    A state is unresolved where its action was still changing.
    """
    joint, values, nothing = table.joint(chosen(table, stage)), stage.values.copy(), np.zeros_like(stage.promised)
    for _ in range(ROUNDS):
        before, residual = joint, 0.0
        for i in range(nothing.shape[1]):
            kept, _ = stationary_reply(table, joint, nothing, i, discount, improve=False, values=values[:, i])
            values[:, i], joint = stationary_reply(table, joint, nothing, i, discount, values=kept)
            residual = max(residual, _moved(values[:, i], kept))
        if np.array_equal(joint, before):
            break
    stage = stage._replace(
        joint=joint, values=values, unresolved=joint != before, strategies=Mixed.nowhere(table).strategies
    )
    return Stationary(stage, residual, False)


def _moved(new: np.ndarray, old: np.ndarray) -> float:
    return float(np.abs(new - old).max() / (1.0 + np.abs(new).max()))

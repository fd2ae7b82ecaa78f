"""Value iteration: stationary solutions of the discounted game that never ends, as fixed points of its stage games.

1. Start from values of zero.
2. Sweep: solve the stage game of every state by the rule, given the discounted values of the next states (Shapley
   1953, "Stochastic games").
3. Extrapolate the values (`extrapolation`). Once the choices hardly change, evaluate them for some cheap steps first.
4. Repeat until a sweep moves the values by no more than `VALUE_CONVERGENCE`.

Value iteration converges for the social optimum, and for the principal in the Coin Game. It need not: the choices of
selfish agents can cycle, as can a principal's in Cleanup, and dominant payments feed on themselves. `stationary`
therefore has a fallback for each rule. Every result carries its residual, and deviation gains, which are computed
apart (`best_response`), tell how far it is from an equilibrium. A fixed point may be one of several (`fixed_points`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..tables.table import Table
from ..tolerances import VALUE_CONVERGENCE
from .best_response_dynamics import relative_distance, stationary_dynamics
from .extrapolation import extrapolate
from .policies import Mixed
from .rules import Rule
from .stage_games import Stage, chosen, follow, sweep

MAX_SWEEPS = 3000
MAX_SWEEPS_BEFORE_FALLBACK = {Rule.HIGHEST: 100, Rule.LOWEST: 100, Rule.PRINCIPAL: 300, Rule.CONTINGENT: 300}
STABLE_SWEEPS = 3  # sweeps with hardly a change of choice, after which the choice is evaluated, which is cheap
STABLE_SHARE = 0.01  # the share of states whose choice may change in such a sweep; 0 for selfish agents, who may cycle
EVALUATION_STEPS = 40
DAMPED_SWEEPS, DAMPING = 100, 0.3  # sweeps of a damped iteration, and the share of each by which the values move


class Stationary(NamedTuple):
    """The last sweep of a rule."""

    stage: Stage
    residual: float  # by how much its values still moved, relative to 1 + their size
    converged: bool  # whether value iteration by the rule alone converged


def stationary(table: Table, rule: Rule, discount: float, alpha: float) -> Stationary:
    """The stationary choice of `rule`, or its fallback where value iteration does not converge.

    HIGHEST and LOWEST: iterated best response from where value iteration stopped, which ends in an equilibrium of the
    rule's neighbourhood only. PRINCIPAL and CONTINGENT: damped value iteration. DOMINANT: the same, from the
    principal's solution.
    """
    found = value_iteration(table, Rule.PRINCIPAL if rule == Rule.DOMINANT else rule, discount, alpha)
    if rule == Rule.DOMINANT or (rule in (Rule.PRINCIPAL, Rule.CONTINGENT) and not found.converged):
        return damped_value_iteration(table, rule, found.stage, discount, alpha)
    if rule in (Rule.HIGHEST, Rule.LOWEST) and not found.converged:
        return _best_response_fallback(table, found.stage, discount)
    return found


def value_iteration(table: Table, rule: Rule, discount: float, alpha: float) -> Stationary:
    """Value iteration by `rule`, until it converges or its sweeps are used up."""
    values = np.zeros((table.states, table.rewards.shape[2] + 1))
    before, stable = None, 0
    few = 0.0 if rule in (Rule.HIGHEST, Rule.LOWEST) else STABLE_SHARE * table.states
    for _ in range(MAX_SWEEPS_BEFORE_FALLBACK.get(rule, MAX_SWEEPS)):
        stage = sweep(table, values, rule=rule, alpha=alpha, discount=discount, before=before)
        residual = relative_distance(stage.values, values)
        if residual <= VALUE_CONVERGENCE:
            break
        stable = stable + 1 if before is not None and np.count_nonzero(stage.joint != before) <= few else 0
        before, values = stage.joint, extrapolate(stage.values, values, discount)
        if stable >= STABLE_SWEEPS:
            values = follow(table, stage, values, alpha=alpha, discount=discount, steps=EVALUATION_STEPS)
            later = follow(table, stage, values, alpha=alpha, discount=discount, steps=1)
            values = extrapolate(later, values, discount)
    return Stationary(stage, residual, converged=residual <= VALUE_CONVERGENCE)


def damped_value_iteration(
    table: Table, rule: Rule, stage: Stage, discount: float, alpha: float, *, sweeps: int = DAMPED_SWEEPS
) -> Stationary:
    """Value iteration in small steps, from the values and choices of `stage`: each sweep moves values by `DAMPING`."""
    values = stage.values
    for _ in range(sweeps):
        stage = sweep(table, values, rule=rule, alpha=alpha, discount=discount, before=stage.joint)
        residual = relative_distance(stage.values, values)
        if residual <= VALUE_CONVERGENCE:
            break
        values = values + DAMPING * (extrapolate(stage.values, values, discount) - values)
    return Stationary(stage, residual, converged=residual <= VALUE_CONVERGENCE)


def _best_response_fallback(table: Table, stage: Stage, discount: float) -> Stationary:
    """Iterated best response from `stage`, in which agents that mixed begin with their most probable actions.

    The residual is the largest gain of the last round. A state is unresolved where its joint action still changed.
    """
    found = stationary_dynamics(table, table.joint(chosen(table, stage)), stage.values, discount)
    pure = stage._replace(
        joint=found.joint, values=found.values, unresolved=found.changing, strategies=Mixed.nowhere(table).strategies
    )
    return Stationary(pure, found.gain, converged=False)

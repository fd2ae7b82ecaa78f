"""Whether a stationary solution is one of several: the fixed points that value iteration reaches from other values.

The social optimum is unique, since its operator is a contraction, and any rule is at discount 0. For the other rules an
agent's value depends on which joint action is chosen, and the choice on the values: several fixed points may support
themselves. To find none here does not prove that there is none.

The iteration starts from values of zero, as a long finite game ends, and from each agent's largest and smallest reward
in each state. It is damped (`damped_value_iteration`), since a rule's choices may cycle otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..tables.table import Table
from ..tolerances import FIXED_POINT
from .rules import Rule
from .stage_games import Stage, sweep
from .value_iteration import damped_value_iteration

MAX_SWEEPS = 200
MAX_TRIPLES = 300_000  # (state, joint action, agent) triples; a larger table would take minutes


def fixed_points(table: Table, rule: Rule, discount: float, alpha: float) -> Iterator[Stage]:
    """The fixed points that `rule` reaches from values other than its own; equal ones may come again.

    None for the social optimum, at discount 0, and where the table has more than `MAX_TRIPLES`.
    """
    if rule == Rule.COOPERATIVE or discount == 0.0 or table.rewards.size > MAX_TRIPLES:
        return
    best, worst = table.rewards.max(axis=1), table.rewards.min(axis=1)
    for agents in (np.zeros_like(best), best, worst):
        values = np.concatenate([agents, agents.sum(axis=1, keepdims=True) / alpha], axis=1)
        stage = sweep(table, values, rule=rule, alpha=alpha, discount=discount)
        found = damped_value_iteration(table, rule, stage, discount, alpha, sweeps=MAX_SWEEPS)
        if found.residual <= FIXED_POINT:
            yield found.stage

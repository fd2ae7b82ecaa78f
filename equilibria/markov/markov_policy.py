"""The Markov policy of a rule: by backward induction over a finite horizon, by value iteration in the endless game."""

from __future__ import annotations

from ..tables.table import Table
from .backward_induction import finite_policy
from .policies import Mixed, Policy
from .rules import Rule
from .stage_games import chosen, mixing
from .value_iteration import stationary


def markov_policy(table: Table, rule: Rule, horizon: int, *, discount: float | None, alpha: float) -> Policy:
    """The policy of `rule`: (T, S, N) over the horizon without a `discount`, stationary (S, N) with one."""
    if discount is None:
        return finite_policy(table, rule, horizon, alpha)
    stage, residual, converged = stationary(table, rule, discount, alpha)
    return Policy(
        actions=chosen(table, stage),
        promised=stage.promised,
        mixed=Mixed(*mixing(table, stage)),
        unresolved=int(stage.unresolved.sum()),
        residual=residual,
        converged=converged,
    )

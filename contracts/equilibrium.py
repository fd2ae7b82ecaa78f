"""The exact equilibria of a game that fits in a table: what is optimal, what selfishness gives, what a principal pays.

Five solutions, each by its rule (`RULES`): the social optimum; the selfish Markov equilibria that at every stage take
the pure equilibrium of highest, or lowest, total continuation value (rules of selection, not bounds: where a stage has
no pure equilibrium the joint action with the smallest largest regret is taken, and both the number of such stages and
what a best reply would gain are reported); and the subgame-perfect equilibrium of a principal who cannot commit, who
pays the least that makes its recommendation a best response, to the others' recommended actions or, `dominant`, to
every action of theirs, and maximises `welfare / alpha - payments` (Ivanov et al. 2024, with observable actions).

Each is solved over the finite horizon by backward induction, undiscounted, or with a discount for the stationary
game that never ends (`stationary` says what is done where the rule does not settle); both are evaluated over the
undiscounted horizon.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from ..envs import FAMILIES, family, make
from ..envs.config import UsageError, nearest, plain
from ..envs.core import Game
from .evaluation import deviation_gains, evaluate_policy
from .stage_games import COOPERATIVE, DOMINANT, HIGHEST, LOWEST, PRINCIPAL, sweep
from .stationary import stationary
from .tabulate import Table, tabulate

RULES = {
    "cooperative": COOPERATIVE,
    "highest": HIGHEST,
    "lowest": LOWEST,
    "principal": PRINCIPAL,
    "dominant": DOMINANT,
}


class Solution(NamedTuple):
    """A policy for every agent, what it is paid for following it, and what that comes to over the horizon."""

    actions: np.ndarray  # (S, N) int where stationary, else (T, S, N)
    promised: np.ndarray  # the same shape, float64; zero without a principal
    returns: np.ndarray  # (N,) from the environment alone, undiscounted
    payments: np.ndarray  # (N,)
    gains: np.ndarray  # (N,) what each agent's best reply would add in the game that was solved
    unresolved: int  # (state, step) pairs without a pure equilibrium
    residual: float  # by how much a stationary solution's values still moved, relative; 0 for a finite horizon
    settled: bool  # whether the rule alone gave it; else `gains` say what it is worth

    @property
    def welfare(self) -> float:
        return float(self.returns.sum())

    @property
    def payment(self) -> float:
        return float(self.payments.sum())


def solve(table: Table, rule: str, horizon: int, *, discount: float | None = None, alpha: float = 0.1) -> Solution:
    """The solution of `table` by one of the `RULES`.

    Finite without a `discount`, stationary with one in (0, 1). `alpha` is what a unit of payment is worth to the
    principal in welfare: it maximises welfare / alpha - payments. Raises UsageError for values out of range.
    """
    _check(rule, horizon, discount, alpha)
    if discount is None:
        actions, promised, unresolved = _backward_induction(table, RULES[rule], horizon, alpha)
        residual, settled = 0.0, True
    else:
        stage, residual, settled = stationary(table, RULES[rule], discount, alpha)
        actions, promised, unresolved = table.actions[stage.joint], stage.promised, int(stage.unresolved.sum())
    worth = evaluate_policy(table, actions, promised, horizon)
    gains = deviation_gains(table, actions, promised, horizon, discount=discount)
    return Solution(actions, promised, worth.returns, worth.payments, gains, unresolved, residual, settled)


def summary(game: Game, alpha: float = 0.1, discount: float | None = None) -> dict[str, Any]:
    """Every solution of `game` as JSON-ready values; `seconds` includes making the table.

    Raises UsageError for a game that cannot be tabulated or is too large.
    """
    began = time.perf_counter()
    table = tabulate(game)
    rows = {rule: _row(solve(table, rule, game.horizon, discount=discount, alpha=alpha)) for rule in RULES}
    return {
        "game": game_name(game),
        "rules": plain(game),
        "states": table.states,
        "horizon": game.horizon,
        "discount": discount,
        "alpha": alpha,
        "seconds": round(time.perf_counter() - began, 3),
        "cooperative": {key: rows["cooperative"][key] for key in ("welfare", "returns")},
        "selfish": {
            rule: {key: value for key, value in rows[rule].items() if key != "payment"}
            for rule in ("highest", "lowest")
        },
        "principal": rows["principal"],
        "principal_dominant": rows["dominant"],
    }


def game_name(game: Game) -> str:
    """The id of `game`, `family/preset`; the family alone where its rules are no preset's."""
    for name in FAMILIES:
        if type(game) is family(name):
            same = [preset for preset in family(name).presets if make(f"{name}/{preset}") == game]
            return f"{name}/{same[0]}" if same else name
    return type(game).__name__


def _backward_induction(table: Table, rule: int, horizon: int, alpha: float) -> tuple[np.ndarray, np.ndarray, int]:
    """The policy (T, S, N), its payments and the number of stages without a pure equilibrium."""
    S, _, N = table.rewards.shape
    actions, promised = np.empty((horizon, S, N), np.int16), np.empty((horizon, S, N))
    values, unresolved = np.zeros((S, N + 1)), 0
    for t in reversed(range(horizon)):
        stage = sweep(table, values, rule=rule, alpha=alpha, discount=1.0)
        values = stage.values
        actions[t], promised[t] = table.actions[stage.joint], stage.promised
        unresolved += int(stage.unresolved.sum())
    return actions, promised, unresolved


def _check(rule: str, horizon: int, discount: float | None, alpha: float) -> None:
    if rule not in RULES:
        raise UsageError(nearest("rule", rule, RULES))
    if horizon < 1:
        raise UsageError(f"horizon: got {horizon}, allowed is 1 or more")
    if discount is not None and not 0.0 < discount < 1.0:
        raise UsageError(f"discount: got {discount}, allowed is between 0 and 1; leave it out for the finite horizon")
    if not alpha > 0.0:
        raise UsageError(f"alpha: got {alpha}, allowed is any number above 0")


def _row(solution: Solution) -> dict[str, Any]:
    return {
        "welfare": solution.welfare,
        "payment": solution.payment,
        "returns": solution.returns.tolist(),
        "gain": float(solution.gains.max()),
        "unresolved": solution.unresolved,
        "residual": solution.residual,
        "settled": solution.settled,
    }

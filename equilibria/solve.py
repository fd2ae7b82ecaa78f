"""The exact solutions of a game that fits in a table: social optimum, selfish equilibria, and what a principal pays.

Six solutions, each by its rule (`RULES`):

1. `cooperative`: the social optimum.
2. `highest` and `lowest`: the selfish Markov equilibria that take, in every stage game, the pure equilibrium of highest
   or lowest total continuation value. These are rules of selection, not bounds.
3. `principal`: the subgame-perfect equilibrium of a principal who cannot commit (Ivanov et al. 2024, with observable
   actions). It maximises `welfare / alpha - payments`, and pays the least that makes its recommendation a best response
   to the others' recommended actions.
4. `dominant`: the same, where the payments make the recommendation a dominant strategy of every stage game.
5. `contingent`: the same, where what an agent is paid depends on what the others did (`contingent_payments`): the
   recommendation is dominant in every stage game, and while all follow only the payments of `principal` are paid.

Where a stage game has no pure equilibrium selfish agents mix (`mixed_equilibrium`), and the subgame-perfect principal
may abstain (`stage_games`). Where no equilibrium is found, the joint action whose largest regret is smallest is taken;
the number of such stages and the deviation gains are reported, and the solution is marked as approximate. Beside the
six stand the best linear contract (`linear_contracts`), to which a principal commits, and over the finite horizon of a
small game a correlated equilibrium, the best of each stage, which signals bring about (`correlated_policy`), and a
mediated one, for which somebody plays who is let (`mediated_policy`).

Each is solved over the finite horizon, undiscounted, by backward induction, or with a discount for the stationary game
that never ends by value iteration (`value_iteration` has the fallbacks where it does not converge). A stationary
solution may be one of several, which `fixed_points` looks for. All are evaluated over the undiscounted horizon.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, NamedTuple, Protocol, cast

import numpy as np

from ..contracts.mechanism import welfare_weights
from ..core.config import UsageError, did_you_mean, to_json
from ..envs import FAMILIES, family, make
from ..envs.game import Game, hides_actions, hides_state
from .markov.best_response import deviation_gains
from .markov.correlated_policy import CorrelatedPolicy, correlated_policy
from .markov.evaluation import Evaluation, evaluate_policy
from .markov.fixed_points import fixed_points
from .markov.markov_policy import markov_policy
from .markov.mediated_policy import MediatedPolicy, mediated_policy
from .markov.policies import Mixed, Policy
from .markov.rules import Rule
from .markov.stage_games import chosen, mixing
from .principal import hidden_actions, persuasion
from .principal.linear_contracts import LinearContract, best_linear_contract
from .tables.table import Table
from .tables.tabulate import tabulate
from .tables.threads import at_once
from .tolerances import EPSILON_EQUILIBRIUM, WELFARE_TIE

RULES = {
    "cooperative": Rule.COOPERATIVE,
    "highest": Rule.HIGHEST,
    "lowest": Rule.LOWEST,
    "principal": Rule.PRINCIPAL,
    "dominant": Rule.DOMINANT,
    "contingent": Rule.CONTINGENT,
}
PAYING = (Rule.PRINCIPAL, Rule.DOMINANT, Rule.CONTINGENT)


class Solution(NamedTuple):
    """A policy of all agents, their payments for following it, and its evaluation over the horizon."""

    actions: np.ndarray  # (S, N) int where stationary, else (T, S, N); where an agent mixes, its most probable action
    promised: np.ndarray  # the same shape, float64: paid for following while all follow; zero without a principal
    mixed: Mixed  # the (state, step) pairs without a pure equilibrium, in which agents mix
    unresolved: int  # the number of pairs for which no equilibrium was found
    residual: float  # by how much a stationary solution's values still moved, relative; 0 for a finite horizon
    converged: bool  # whether value iteration by the rule alone converged; else the `gains` tell its quality
    returns: np.ndarray  # (N,) from the environment alone, undiscounted
    payments: np.ndarray  # (N,)
    gains: np.ndarray  # (N,) each agent's deviation gain in the game that was solved
    others: np.ndarray  # (F, 2) welfare and payment of other fixed points of the same rule that were found
    abstains: float  # the expected number of steps of an episode in which the principal abstains
    unit: float  # the largest reward of any agent in a step, without its sign

    @property
    def approximate(self) -> bool:
        """Whether it is no equilibrium: a deviation gains, or no equilibrium was found in some stage game."""
        return self.unresolved > 0 or not self.gains.max() <= EPSILON_EQUILIBRIUM * self.unit

    @property
    def welfare(self) -> float:
        return float(self.returns.sum())

    @property
    def payment(self) -> float:
        return float(self.payments.sum())


def solve(
    table: Table,
    rule: str,
    horizon: int,
    *,
    discount: float | None = None,
    alpha: float = 0.1,
    favour: float = 0.0,
) -> Solution:
    """The solution of `table` by one of the `RULES`.

    Finite without a `discount`, stationary with one in [0, 1), myopic at 0. The principal maximises welfare / alpha -
    payments: a unit of payment costs it as much as `alpha` units of welfare. With a `favour` it weighs the agents'
    rewards by `welfare_weights`. Raises UsageError for values out of range.
    """
    _check(rule, horizon, discount, alpha, favour)
    weighed = favouring(table, favour) if RULES[rule] in PAYING else table
    found = markov_policy(weighed, RULES[rule], horizon, discount=discount, alpha=alpha)
    followed = evaluate_policy(table, found.actions, found.promised, horizon, mixed=found.mixed)
    gains = deviation_gains(table, found.actions, found.promised, horizon, discount=discount, mixed=found.mixed)
    others = _others(table, weighed, rule, horizon, discount, alpha, followed) if found.converged else np.zeros((0, 2))
    unit = float(np.abs(table.rewards).max())
    abstains = _abstains(table, found, horizon) if RULES[rule] == Rule.PRINCIPAL else 0.0
    return Solution(*found, followed.returns, followed.payments, gains, others, abstains, unit)


def _others(
    table: Table, weighed: Table, rule: str, horizon: int, discount: float | None, alpha: float, found: Evaluation
) -> np.ndarray:
    """(F, 2): welfare and payment of other fixed points of `rule`, apart from each other and from what was found."""
    known = [found]
    for stage in () if discount is None else fixed_points(weighed, RULES[rule], discount, alpha):
        mixed = Mixed(*mixing(table, stage))
        other = evaluate_policy(table, chosen(table, stage), stage.promised, horizon, mixed=mixed)
        if not any(np.allclose(other, each, rtol=0.0, atol=WELFARE_TIE) for each in known):
            known.append(other)
    return np.array([(each.welfare, each.payment) for each in known[1:]]).reshape(-1, 2)


def _abstains(table: Table, found: Policy, horizon: int) -> float:
    """The expected number of steps in which agents mix, counted as if each of these steps were paid 1."""
    N = table.rewards.shape[2]
    counted = np.zeros((found.promised.size // N, N))
    counted[found.mixed.cells] = 1.0
    counted = counted.reshape(found.promised.shape)
    return float(evaluate_policy(table, found.actions, counted, horizon, mixed=found.mixed).payments[0])


def favouring(table: Table, favour: float) -> Table:
    """The table of a principal who weighs the agents' rewards by `welfare_weights`."""
    if not favour:
        return table
    weights = welfare_weights(table.rewards.shape[2], favour)
    return table._replace(objective=table.objective + table.rewards @ (weights - 1.0))


class StageProgress(Protocol):
    """A callback with the solver's current stage and the share of that stage that is done."""

    def __call__(self, stage: str, share: float) -> None: ...


class Solved(NamedTuple):
    """Every solution of a game, and the best linear contract."""

    table: Table
    solutions: dict[str, Solution]  # by rule
    linear_contract: LinearContract | None  # None where the agents' answer to no rates is an equilibrium
    correlated: CorrelatedPolicy | None  # None with a discount, and where the game is too large
    mediated: MediatedPolicy | None  # likewise
    seconds: float  # making the table included


def solve_all(
    game: Game,
    alpha: float = 0.1,
    discount: float | None = None,
    *,
    favour: float = 0.0,
    table: Table | None = None,
    on_progress: StageProgress = lambda stage, share: None,
) -> Solved:
    """Every solution of `game`; its `table` is made unless given.

    Raises UsageError for a game that cannot be tabulated or is too large.
    """
    began = time.perf_counter()
    _check("principal", game.horizon, discount, alpha, favour)
    table = tabulate(game, on_progress=partial(on_progress, "table")) if table is None else table
    done, apart = count(1), [rule for rule in RULES if rule != "contingent"]

    def solution(rule: str) -> Solution:
        found = solve(table, rule, game.horizon, discount=discount, alpha=alpha, favour=favour)
        on_progress("equilibria", next(done) / len(apart))
        return found

    def rates() -> LinearContract | None:
        share = partial(on_progress, "linear contracts")
        return best_linear_contract(table, game.horizon, discount=discount, alpha=alpha, on_progress=share)

    longest_first: list[Callable[[], LinearContract | Solution | None]] = [
        rates,
        *(partial(solution, rule) for rule in apart),
    ]
    best, *found = at_once(lambda task: task(), longest_first)
    solutions = dict(zip(apart, cast(list[Solution], found), strict=True))
    principal = solutions["principal"]  # who mixes nowhere chooses and pays as the contingent one does while all follow
    solutions["contingent"] = solution("contingent") if len(principal.mixed.cells) else principal
    signals = correlated_policy(table, game.horizon) if discount is None else None
    mediator = mediated_policy(table, game.horizon) if discount is None else None
    rate = cast(LinearContract | None, best)
    return Solved(table, solutions, rate, signals, mediator, time.perf_counter() - began)


def summary(
    game: Game, alpha: float = 0.1, discount: float | None = None, *, table: Table | None = None
) -> dict[str, Any]:
    """Every solution of `game` as JSON-ready values. Raises UsageError as `solve_all` does."""
    if hides_actions(game):
        return {"game": game_name(game), "rules": to_json(game), **hidden_actions.summary(game, discount)}
    if hides_state(game):
        return {"game": game_name(game), "rules": to_json(game), **persuasion.summary(game, discount)}
    return summarised(game, alpha, discount, solve_all(game, alpha, discount, table=table))


def summarised(
    game: Game, alpha: float, discount: float | None, solved: Solved, *, favour: float = 0.0
) -> dict[str, Any]:
    """The solutions in `solved` as JSON-ready values."""
    rows, rates = {rule: _row(solution) for rule, solution in solved.solutions.items()}, solved.linear_contract
    largest = np.abs(solved.table.rewards).max()
    return {
        "game": game_name(game),
        "rules": to_json(game),
        "states": solved.table.states,
        "horizon": game.horizon,
        "discount": discount,
        "alpha": alpha,
        "favour": favour,
        "seconds": round(solved.seconds, 3),
        "cooperative": {key: rows["cooperative"][key] for key in ("welfare", "returns", "settled")},
        "selfish": {
            rule: {key: value for key, value in rows[rule].items() if key != "payment"}
            for rule in ("highest", "lowest")
        },
        **{
            name: policy
            and {
                "welfare": policy.welfare,
                "returns": policy.returns.tolist(),
                "gain": float(policy.gains.max()),
                "drawn": policy.drawn,
                "settled": True,
                "approximate": bool(policy.gains.max() > EPSILON_EQUILIBRIUM * largest),
            }
            for name, policy in (("correlated", solved.correlated), ("mediated", solved.mediated))
        },
        "principal": rows["principal"],
        "principal_dominant": rows["dominant"],
        "principal_contingent": rows["contingent"],
        "best_rate": rates
        and {
            "welfare": rates.welfare,
            "payment": rates.payment,
            "returns": rates.returns.tolist(),
            "rates": dict(zip(game.verifiable, rates.rates, strict=True)),
            "gain": float(rates.gains.max()),
            "settled": rates.converged,
        },
    }


def game_name(game: Game) -> str:
    """The id of `game`, `family/preset`; the family alone where its rules are no preset's."""
    for name in FAMILIES:
        if type(game) is family(name):
            same = [preset for preset in family(name).presets if make(f"{name}/{preset}") == game]
            return f"{name}/{same[0]}" if same else name
    return type(game).__name__


def _check(rule: str, horizon: int, discount: float | None, alpha: float, favour: float) -> None:
    if rule not in RULES:
        raise UsageError(did_you_mean("rule", rule, RULES))
    if horizon < 1:
        raise UsageError(f"horizon: got {horizon}, allowed is 1 or more")
    if discount is not None and not 0.0 <= discount < 1.0:
        raise UsageError(
            f"discount: got {discount}, allowed is 0 up to, but not including, 1; leave it out for the finite horizon"
        )
    if not 0.0 < alpha < np.inf:
        raise UsageError(f"alpha: got {alpha}, allowed is any finite number above 0")
    if not 0.0 <= favour < 1.0:
        raise UsageError(f"favour: got {favour}, allowed is 0 up to, but not including, 1")


def _row(solution: Solution) -> dict[str, object]:
    return {
        "welfare": solution.welfare,
        "payment": solution.payment,
        "returns": solution.returns.tolist(),
        "gain": float(solution.gains.max()),
        "mixed": len(solution.mixed.cells),
        "unresolved": solution.unresolved,
        "residual": solution.residual,
        "settled": solution.converged,
        "approximate": solution.approximate,
        "other_fixed_points": solution.others.tolist(),
        "abstains": solution.abstains,
    }

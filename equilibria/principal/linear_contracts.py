"""The best linear contract: a constant rate for each verifiable fact, the same for every agent, to which one commits.

The principal announces `rates` b_k >= 0 once and for all; whenever an agent does what fact k says, it is paid b_k for
each time. The agents then play the game with these payments. A wage for every cell cleaned is such a contract (simple
contracts: Dutting, Roughgarden and Talgam-Cohen 2019). It needs no model of the state, only what can be verified, and
since the principal is bound it can be cheaper than one that may do in every state what is best from there on.

The agents' answer is the selfish equilibrium of highest total value, by the rule and for the reason of the selfish
row, so that rates of zero give that row: agents settle on what is best for them, not for the principal.

Rates whose game has no equilibrium that is found have no value, over a finite horizon as in the stationary game.

The rates are found by a search, not a proof. Welfare jumps where a rate is just enough and payment falls between jumps,
so gradients are of no use. The search is a coordinate search over a grid that becomes finer:

1. All rates go up the `GRID` together, then each in turn while the others stay, twice.
2. Each positive rate is tried at even steps down to the grid point below, where a rate that is just enough should lie.
3. The rates are moved by ever smaller parts of that step in either direction.
4. Where more games may be solved, steps 2 and 3 are repeated up to the grid point above.
5. With a discount, steps 2 and 3 are repeated in the stationary game with finer steps.
6. The rates are lowered, together and each alone, by less and less.

No rate above the end of the grid is tried.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..markov.backward_induction import backward_induction
from ..markov.best_response import deviation_gains
from ..markov.evaluation import evaluate_policy
from ..markov.markov_policy import markov_policy
from ..markov.policies import Policy
from ..markov.rules import Rule
from ..tables.table import Table
from ..tables.tabulate import Progress, reachable
from ..tables.threads import at_once
from ..tolerances import PAYOFF_TIE, RATE_GAIN

GRID = (0.0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0)  # times the largest reward of any agent in one step
ROUNDS = 2  # times that each rate goes through the grid
STEPS = 5  # from a grid point to the one below
HALVINGS = 5  # of such a step, by which the rates are moved then
THIRDS = 6  # of the last of those, by which the rates are lowered in the end
MAX_SOLVES, MAX_WORK = 96, 2_000_000_000  # games solved at most, and (state, joint action, step) triples in all of them
MIN_SOLVES = 8  # games solved, however large they are
GRID_SHARE = 1 / 2  # the share of them that step 1 may take
MAX_STATIONARY_WORK = 50_000_000  # such triples of the games of step 5: stationary games take long

Rates = tuple[float, ...]  # for each of the game's K verifiable facts


class LinearContract(NamedTuple):
    """A linear contract, and the agents' answer to it over the undiscounted horizon."""

    rates: Rates
    returns: np.ndarray  # (N,) from the environment alone
    payments: np.ndarray  # (N,) from the principal
    gains: np.ndarray  # (N,) each agent's deviation gain in the game with the payments
    unresolved: int = 0  # stage games in which no equilibrium was found
    converged: bool = True  # whether value iteration converged to the agents' answer; else the `gains` tell its quality

    @property
    def answered(self) -> bool:
        """Whether the agents' answer is an equilibrium; without one the rates have no value."""
        return self.unresolved == 0 and bool(self.gains.max(initial=0.0) <= RATE_GAIN)

    @property
    def welfare(self) -> float:
        """The sum of the agents' returns."""
        return float(self.returns.sum())

    @property
    def payment(self) -> float:
        """The sum of what the principal pays."""
        return float(self.payments.sum())


def with_rates(table: Table, rates: Rates) -> Table:
    """The game in which each agent's rewards include what it is paid at the `rates`."""
    return table._replace(rewards=table.rewards + table.facts @ np.array(rates))


def evaluate_rates(table: Table, rates: Rates, horizon: int, *, discount: float | None = None) -> LinearContract:
    """The agents' answer to the `rates` >= 0, in the finite game, or with a `discount` in the stationary one."""
    game = with_rates(table, rates)
    answer = markov_policy(game, Rule.HIGHEST, horizon, discount=discount, alpha=1.0)
    returns = _returns(table, answer, horizon)
    payments = _returns(table._replace(rewards=table.facts @ np.array(rates)), answer, horizon)
    gains = deviation_gains(game, answer.actions, answer.promised, horizon, discount=discount, mixed=answer.mixed)
    return LinearContract(rates, returns, payments, gains, answer.unresolved, answer.converged)


def best_linear_contract(
    table: Table,
    horizon: int,
    *,
    discount: float | None = None,
    alpha: float = 0.1,
    on_progress: Progress = lambda share: None,
) -> LinearContract | None:
    """The rates found that maximise welfare / alpha - payments; None where no rates have an equilibrium for an answer.

    With a `discount` the grid is still searched in the finite game, and step 5 is taken in the stationary one.
    `on_progress` gets the share of the games that may be solved.
    """
    K, largest = table.facts.shape[3], float(np.abs(table.rewards).max(initial=0.0))
    played = reachable(table)
    triples = played.rewards.shape[0] * played.rewards.shape[1] * horizon
    budget = max(MIN_SOLVES, min(MAX_SOLVES, MAX_WORK // triples))
    search = _Search(played, horizon, None, alpha, round(GRID_SHARE * budget), on_progress)
    grid = [point * largest for point in GRID]
    best = _on_grid(search, grid, K) if largest > 0.0 else (0.0,) * K
    at = {k: grid.index(best[k]) for k in range(K) if best[k] > 0.0}
    steps = {k: (best[k] - grid[point - 1]) / STEPS for k, point in at.items()}
    search.budget = budget
    best = _refined(search, _stepped_down(search, best, steps), steps)
    best = _stepped_up(search, best, grid, at)
    if discount is not None:
        budget = max(MIN_SOLVES, min(MAX_SOLVES, MAX_STATIONARY_WORK // triples))
        search = _Search(table, horizon, discount, alpha, budget, on_progress)
        best = _stepped_down(search, best, steps, parts=STEPS)
        if search.known[search.best([best])] == -np.inf:  # nothing near has an answer here
            best = _on_grid(search, grid, K)
        best = _refined(search, best, {k: step / STEPS for k, step in steps.items()})
    best = _lowered(search, best, steps)
    found = evaluate_rates(played if discount is None else table, best, horizon, discount=discount)
    return found if found.answered else None


class _Search:
    """Rates and their value to the principal; no rates are tried twice, and none once `budget` games are solved."""

    def __init__(
        self, table: Table, horizon: int, discount: float | None, alpha: float, budget: int, on_progress: Progress
    ) -> None:
        self.table, self.horizon, self.discount, self.alpha = table, horizon, discount, alpha
        self.budget, self.on_progress, self.solved = budget, on_progress, 0
        self.known: dict[Rates, float] = {}

    def best(self, candidates: list[Rates]) -> Rates:
        """The best of the `candidates` >= 0, the first of equals, as far as their values are known."""
        candidates = [rates for rates in candidates if min(rates, default=0.0) >= 0.0]
        untried = [rates for rates in dict.fromkeys(candidates) if rates not in self.known]
        untried = untried[: self.budget - len(self.known)]
        self.known |= dict(zip(untried, at_once(self._value, untried), strict=True))
        best, *others = (rates for rates in candidates if rates in self.known)
        for rates in others:
            value = self.known[rates]
            if value > self.known[best] + PAYOFF_TIE * (1.0 + abs(value)):
                best = rates
        return best

    def _value(self, rates: Rates) -> float:
        if self.discount is None:
            value = _finite_value(self.table, rates, self.horizon, self.alpha)
        else:
            found = evaluate_rates(self.table, rates, self.horizon, discount=self.discount)
            value = found.welfare / self.alpha - found.payment if found.answered else -np.inf
        self.solved += 1
        self.on_progress(self.solved / self.budget)
        return value


def _on_grid(search: _Search, grid: list[float], K: int) -> Rates:
    """Step 1: the best rates on the grid, all together, then each in turn."""
    best = search.best([(point,) * K for point in grid])
    for _ in range(ROUNDS if K > 1 else 0):
        for k in range(K):
            best = search.best([best, *(_moved(best, k, point) for point in grid)])
    return best


def _stepped_down(search: _Search, best: Rates, steps: dict[int, float], *, parts: int = 1) -> Rates:
    """Step 2: the best rates at even steps down, each rate by `steps`, cut in so many `parts`, in turn."""
    for k, step in steps.items():
        best = search.best([_moved(best, k, best[k] - n * step / parts) for n in range(STEPS)])
    return best


def _refined(search: _Search, best: Rates, steps: dict[int, float]) -> Rates:
    """Step 3: the best rates around `best`, each moved by ever smaller parts of its step in either direction."""
    for halving in range(1, HALVINGS + 1):
        for k, whole in steps.items():
            step = whole / 2**halving
            best = search.best([best, _moved(best, k, best[k] - step), _moved(best, k, best[k] + step)])
    return best


def _stepped_up(search: _Search, best: Rates, grid: list[float], at: dict[int, int]) -> Rates:
    """Step 4: the best rates between each rate's grid point, `at[k]`, and the one above, refined where better."""
    for k, point in at.items():
        up = (grid[min(point + 1, len(grid) - 1)] - grid[point]) / STEPS
        higher = search.best([best, *(_moved(best, k, grid[point] + n * up) for n in range(1, STEPS))])
        if higher != best:
            best = _refined(search, higher, {k: up})
    return best


def _lowered(search: _Search, best: Rates, steps: dict[int, float]) -> Rates:
    """Step 6: the best rates a little below `best`, together and each alone."""
    for thirds in range(1, THIRDS + 1):
        lower = {k: step / 2**HALVINGS / 3**thirds for k, step in steps.items()}
        alone = [_moved(best, k, best[k] - n * lower[k]) for n in (1, 2) for k in steps]
        both = [tuple(rate - n * lower.get(k, 0.0) for k, rate in enumerate(best)) for n in (1, 2)]
        best = search.best([best, *alone, *both])
    return best


def _moved(rates: Rates, k: int, rate: float) -> Rates:
    return (*rates[:k], rate, *rates[k + 1 :])


def _finite_value(table: Table, rates: Rates, horizon: int, alpha: float) -> float:
    """The principal's value of the `rates` in the finite game: welfare / alpha - payments.

    It is -inf where no equilibrium of some stage game is found: rates without an answer have no value.
    """
    paid = table.facts @ np.array(rates)
    objective = (table.rewards / alpha - paid) @ np.ones(table.rewards.shape[2])
    game = table._replace(rewards=table.rewards + paid, objective=objective)
    for stage in backward_induction(game, Rule.HIGHEST, horizon, 1.0):
        if stage.unresolved.any():
            return -np.inf
        values = stage.values
    return float(table.start @ values[:, -1])


def _returns(table: Table, answer: Policy, horizon: int) -> np.ndarray:
    """(N,): the undiscounted sums of the table's rewards if agents play the `answer`."""
    return evaluate_policy(table, answer.actions, answer.promised, horizon, mixed=answer.mixed).returns

"""The best committed contract of a simple family: a constant rate for each verifiable fact, the same for every agent.

The principal announces `rates` b_k >= 0 once and for all; whenever an agent does what fact k says, it is paid b_k for
each time. The agents then play the game with these payments. A wage for every cell cleaned is such a contract (simple
contracts: Dutting, Roughgarden and Talgam-Cohen 2019). It needs no model of the state, only what can be verified, and
since the principal is bound it can be cheaper than one that may do in every state what is best from there on.

The agents' answer is the selfish equilibrium of highest total value, by the rule and for the reason of the selfish
row, so that rates of zero give that row: agents settle on what is best for them, not for the principal.

The rates are found by a search, not a proof. Welfare jumps where a rate is just enough and payment falls between jumps,
so slopes are of no use: all rates go up a ladder of values together, then each in turn while the others stay, twice;
then each above zero is tried at even steps down to the rung below, where one that is just enough should lie, and moved
by ever smaller steps in either direction. Where more games may be solved, the steps up to the rung above are tried
likewise, and in the end the rates are lowered together and each alone, by less and less. No rate above the ladder's end
is tried.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .backward_induction import backward_induction
from .best_response import deviation_gains
from .evaluation import evaluate_policy
from .markov_policy import markov_policy
from .policies import Policy
from .rules import Rule
from .table import Table
from .tabulate import Progress, reachable
from .threads import at_once
from .tolerances import PAYOFF_TIE, RATE_GAIN

LADDER = (0.0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0)  # times the largest reward of any agent in one step
ROUNDS = 2  # times that each rate goes through the ladder
STEPS = 5  # from a rung to the one below
HALVINGS = 5  # of such a step, by which the rates are moved then
THIRDS = 6  # of the last of those, by which they are lowered at last
SOLVES, WORK = 96, 2_000_000_000  # games solved at most, and (state, joint action, step) triples in all of them
LEAST = 8  # games solved, however large they are
CLIMB = 1 / 2  # the share of them that the ladder may take
STATIONARY = 50_000_000  # such triples of the games solved in the end where they are stationary, which takes long


class Committed(NamedTuple):
    """A committed contract, and what comes of it over the undiscounted horizon."""

    rates: tuple[float, ...]  # for each of the game's verifiable facts
    returns: np.ndarray  # (N,) from the environment alone
    payments: np.ndarray  # (N,) from the principal
    gains: np.ndarray  # (N,) what each agent's best reply would add in the game with the payments

    @property
    def welfare(self) -> float:
        return float(self.returns.sum())

    @property
    def payment(self) -> float:
        return float(self.payments.sum())


def contracted(table: Table, rates: tuple[float, ...]) -> Table:
    """The game with what each agent is paid at the `rates` (K,) in its rewards."""
    return table._replace(rewards=table.rewards + table.facts @ np.array(rates))


def committed(table: Table, rates: tuple[float, ...], horizon: int, *, discount: float | None = None) -> Committed:
    """What comes of the `rates` (K,) >= 0: the agents' answer, in the finite game or the stationary one."""
    return _judged(table, rates, _answer(table, rates, horizon, discount), horizon, discount)


def best_rate(
    table: Table,
    horizon: int,
    *,
    discount: float | None = None,
    alpha: float = 0.1,
    progress: Progress = lambda share: None,
) -> Committed:
    """The rates found that maximise welfare / alpha - payments.

    With a `discount` the ladder is still climbed in the finite game, and the steps at the end taken in the stationary
    one. `progress` is told the share of the games that may be solved.
    """
    K = table.facts.shape[3]
    largest = float(np.abs(table.rewards).max(initial=0.0))
    played = reachable(table)
    triples = played.rewards.shape[0] * played.rewards.shape[1] * horizon
    budget = max(LEAST, min(SOLVES, WORK // triples))
    search = _Search(played, horizon, None, alpha, round(CLIMB * budget), progress)
    rungs, best = [step * largest for step in LADDER], (0.0,) * K
    if largest > 0.0:
        best = search.best([(rung,) * K for rung in rungs])
    for _ in range(ROUNDS if largest > 0.0 and K > 1 else 0):
        for k in range(K):
            best = search.best([best, *(_moved(best, k, rung) for rung in rungs)])
    paid = [k for k in range(K) if best[k] > 0.0]
    places = {k: rungs.index(best[k]) for k in paid}
    steps = {k: (best[k] - rungs[place - 1]) / STEPS for k, place in places.items()}
    search.budget = budget
    for k in paid:
        best = search.best([_moved(best, k, best[k] - n * steps[k]) for n in range(STEPS)])
    best = _refined(search, best, steps)
    for k, place in places.items():
        up = (rungs[min(place + 1, len(rungs) - 1)] - rungs[place]) / STEPS
        higher = search.best([best, *(_moved(best, k, rungs[place] + n * up) for n in range(1, STEPS))])
        if higher != best:
            best = _refined(search, higher, {k: up})
    if discount is not None:
        budget = max(LEAST, min(SOLVES, STATIONARY // triples))
        search = _Search(table, horizon, discount, alpha, budget, progress)
        for k in paid:
            best = search.best([best, *(_moved(best, k, best[k] - n * steps[k] / STEPS) for n in range(1, STEPS))])
        best = _refined(search, best, {k: step / STEPS for k, step in steps.items()})
    for thirds in range(1, THIRDS + 1):
        lower = {k: steps[k] / 2**HALVINGS / 3**thirds for k in paid}
        alone = [_moved(best, k, best[k] - n * lower[k]) for n in (1, 2) for k in paid]
        both = [tuple(rate - n * lower.get(k, 0.0) for k, rate in enumerate(best)) for n in (1, 2)]
        best = search.best([best, *alone, *both])
    return committed(played if discount is None else table, best, horizon, discount=discount)


def _refined(search: _Search, best: tuple[float, ...], steps: dict[int, float]) -> tuple[float, ...]:
    """The best rates around `best`, those of `steps` moved by ever smaller parts of their step in either direction."""
    for halving in range(1, HALVINGS + 1):
        for k, whole in steps.items():
            step = whole / 2**halving
            best = search.best([best, _moved(best, k, best[k] - step), _moved(best, k, best[k] + step)])
    return best


class _Search:
    """Rates and their worth to the principal; no rates are tried twice, and none when `budget` games are solved."""

    def __init__(
        self, table: Table, horizon: int, discount: float | None, alpha: float, budget: int, progress: Progress
    ) -> None:
        self.table, self.horizon, self.discount, self.alpha = table, horizon, discount, alpha
        self.budget, self.progress, self.solved = budget, progress, 0
        self.known: dict[tuple[float, ...], float] = {}

    def best(self, candidates: list[tuple[float, ...]]) -> tuple[float, ...]:
        """The best of the `candidates` >= 0, the first of equals, as far as they are known."""
        candidates = [rates for rates in candidates if min(rates, default=0.0) >= 0.0]
        untried = [rates for rates in dict.fromkeys(candidates) if rates not in self.known]
        untried = untried[: self.budget - len(self.known)]
        self.known |= dict(zip(untried, at_once(self._worth, untried), strict=True))
        best, *others = (rates for rates in candidates if rates in self.known)
        for rates in others:
            worth = self.known[rates]
            if worth > self.known[best] + PAYOFF_TIE * (1.0 + abs(worth)):
                best = rates
        return best

    def _worth(self, rates: tuple[float, ...]) -> float:
        if self.discount is None:
            worth = _worth(self.table, rates, self.horizon, self.alpha)
        else:
            found = committed(self.table, rates, self.horizon, discount=self.discount)
            stable = found.gains.max(initial=0.0) <= RATE_GAIN
            worth = found.welfare / self.alpha - found.payment if stable else -np.inf
        self.solved += 1
        self.progress(self.solved / self.budget)
        return worth


def _moved(rates: tuple[float, ...], k: int, rate: float) -> tuple[float, ...]:
    return (*rates[:k], rate, *rates[k + 1 :])


def _answer(table: Table, rates: tuple[float, ...], horizon: int, discount: float | None) -> Policy:
    return markov_policy(contracted(table, rates), Rule.HIGHEST, horizon, discount=discount, alpha=1.0)


def _worth(table: Table, rates: tuple[float, ...], horizon: int, alpha: float) -> float:
    """What the finite game at the `rates` is worth to the principal: welfare / alpha - payments."""
    paid = table.facts @ np.array(rates)
    objective = (table.rewards / alpha - paid) @ np.ones(table.rewards.shape[2])
    game = table._replace(rewards=table.rewards + paid, objective=objective)
    for stage in backward_induction(game, Rule.HIGHEST, horizon, 1.0):
        values = stage.values
    return float(table.start @ values[:, -1])


def _earned(table: Table, rates: tuple[float, ...], answer: Policy, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) and (N,): the agents' returns from the environment, and their payments, over the undiscounted horizon."""
    paid = table._replace(rewards=table.facts @ np.array(rates))

    def returns(game: Table) -> np.ndarray:
        return evaluate_policy(game, answer.actions, answer.promised, horizon, mixed=answer.mixed).returns

    return returns(table), returns(paid)


def _judged(table: Table, rates: tuple[float, ...], answer: Policy, horizon: int, discount: float | None) -> Committed:
    returns, payments = _earned(table, rates, answer, horizon)
    gains = deviation_gains(
        contracted(table, rates), answer.actions, answer.promised, horizon, discount=discount, mixed=answer.mixed
    )
    return Committed(rates, returns, payments, gains)

"""What a tabular principal learns of a tree of states: first what actions cost to induce, then which of them to induce.

Wu, Chen, Wang, Wang and Xu 2024, "Contractual reinforcement learning: pulling arms with invisible hands"
(arXiv:2407.01458): the principal plans by Bellman equations in which every action has its least payment, against an
agent that looks ahead as far as it does, and learning is split in two, a search for the contracts that induce each
action, which takes few episodes, and optimistic planning among actions at these prices. That was read in summaries of
the paper; the search, the margins, the bonus and their constants are ours, so that no bound on regret is claimed. A
state here has two actions and two outcomes, and an outcome leads to one state.

With b(0) and b(1) what the outcomes pay, only x = b(1) - b(0) moves the agent, and each state has one threshold: it
aims at outcome 1 where x plus what the contracts ahead add to that side is above it. Aiming at 1 costs the principal
the x that gets above it, aiming at 0 the -x that gets below it, and nothing where that is negative. Thresholds are
searched by bisection, the first steps first, while nothing is paid further ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...core.random import Stream
from .outcome_table import OutcomeTable

OVER = -1  # in the place of a state that follows: none


class Happened(NamedTuple):
    """E steps, played under one contract."""

    state: np.ndarray  # (E,) int64
    aimed: np.ndarray  # (E,) int64, the agent's action: it is seen, and cannot be paid for
    outcome: np.ndarray  # (E,) int64
    value: np.ndarray  # (E,) what the principal got, before it paid
    following: np.ndarray  # (E,) int64, OVER at the end


class Contractual:
    """What is known of S states, each of which is met at one step alone: `steps` (S,).

    - `low` and `high` (S,): between which the threshold lies, at first minus and plus the `highest` payment.
    - `counts` (S, 2, 2): how often an action, the first of both axes, led to each outcome.
    - `totals` (S, 2) and `following` (S, 2): the sum of the values of each outcome, and the state that it leads to.

    A state that is searched is offered the middle of `low` and `high`, and what the agent does halves what lies between
    them, until that is `tolerance` at most. Elsewhere payments exceed the least ones by a `margin`, which doubles in a
    state in which the agent did not do what was induced: what it has ahead is known as well as chances are.
    """

    def __init__(self, steps: np.ndarray, highest: float, tolerance: float, margin: float) -> None:
        S = len(steps)
        self.steps, self.margin = steps, margin
        self.at: Sequence[np.ndarray] = [np.flatnonzero(steps == t) for t in range(steps.max() + 1)]
        self.low, self.high, self.tolerance = np.full(S, -highest), np.full(S, highest), tolerance
        self.counts, self.totals = np.zeros((S, 2, 2)), np.zeros((S, 2))
        self.following = np.full((S, 2), OVER)
        self.level = 0  # the step whose states are searched
        self.margins = np.full(S, margin)

    @property
    def searching(self) -> bool:
        """Whether some thresholds are still searched."""
        return self.level < len(self.at)

    @property
    def open(self) -> np.ndarray:
        """(S,) bool: whether a threshold is not known well enough."""
        return self.high - self.low > self.tolerance

    @property
    def middle(self) -> np.ndarray:
        """(S,)."""
        return (self.low + self.high) / 2

    def search(self, draws: Stream) -> OutcomeTable:
        """A contract that tests the states of one step, and leads to those that are open, by drawn actions."""
        wanted = np.append(self.open, False).astype(np.float64)
        induce = np.zeros(len(self.low), np.int64)
        for t in reversed(range(self.level)):
            here = self.at[t]
            ahead = np.where(self.following[here] == OVER, 1.0, wanted[self.following[here]])
            wanted[here] = ahead.sum(axis=1)
            induce[here] = draws.uniform(len(here)) * wanted[here] < ahead[:, 1]
        return self._contract(induce=induce)

    def end_search(self) -> None:
        """Leave all thresholds as they are known."""
        self.level = len(self.at)
        self._forget_margins()

    def plan(self, optimism: float = 0.0) -> OutcomeTable:
        """The contract that is best by what is known.

        With `optimism` an action is worth more by so much over the root of how often it was taken.
        """
        return self._contract(optimism)

    def _contract(self, optimism: float = 0.0, induce: np.ndarray | None = None) -> OutcomeTable:
        """From the last step to the first, what contracts leave to the agent and to the principal.

        The agent's `rent` is what it has more than without any contract from a state on.
        """
        S, middle, met = len(self.low), self.middle, self.counts.sum(axis=1)
        worth = np.divide(self.totals, met, out=np.zeros((S, 2)), where=met > 0)
        taken = self.counts.sum(axis=2)
        chance = (self.counts + 1) / (taken + 2)[..., None]  # Laplace's rule of succession
        rent, utility = np.zeros(S + 1), np.zeros(S + 1)  # the last one where the game is over
        induced, paid = np.zeros(S, np.int64), np.zeros((S, 2))
        last = len(self.at) - 1 if induce is None else self.level
        for t in reversed(range(last + 1)):
            here = self.at[t]
            p, ahead, number = chance[here], self.following[here], np.arange(len(here))
            gap = rent[ahead[:, 1]] - rent[ahead[:, 0]]
            margin = self.margins[here]
            low, high = self.low[here] - margin - gap, self.high[here] + margin - gap
            x = np.stack([np.minimum(0.0, low), np.maximum(0.0, high)], axis=1)
            if induce is not None and t == last:
                x[:] = middle[here, None]
            pays = np.stack([np.maximum(-x, 0.0), np.maximum(x, 0.0)], axis=-1)  # (n, 2 actions, 2 outcomes)
            q = (p * ((worth[here] + utility[ahead])[:, None] - pays)).sum(axis=-1)
            q += optimism / np.sqrt(np.maximum(taken[here], 1.0))
            best = q.argmax(axis=1) if induce is None else induce[here]
            x, pays = x[number, best], pays[number, best]
            idle = (p[:, 0] * (pays + rent[ahead])).sum(axis=1)  # what the agent has if it aims at outcome 0
            moved = np.maximum(x + gap - middle[here], 0.0) - np.maximum(-middle[here], 0.0)
            rent[here] = idle + (p[:, 1, 1] - p[:, 0, 1]) * moved
            utility[here], induced[here], paid[here] = q[number, best], best, pays
        return OutcomeTable(induced, paid)

    def observe(self, happened: Happened, contract: OutcomeTable) -> None:
        """Learn from the steps that were played under a `contract`."""
        state, aimed, outcome = happened.state, happened.aimed, happened.outcome
        np.add.at(self.counts, (state, aimed, outcome), 1.0)
        np.add.at(self.totals, (state, outcome), happened.value)
        self.following[state, outcome] = happened.following
        missed = (aimed != contract.induced[state]) & (self.steps[state] < self.level)
        self.margins[np.unique(state[missed])] *= 2
        if not self.searching:
            return
        here, middle = (self.steps[state] == self.level) & self.open[state], self.middle
        for at, limit in ((1, self.high), (0, self.low)):
            tested = state[here & (aimed == at)]
            limit[tested] = middle[tested]
        if not self.open[self.at[self.level]].any():
            self.level += 1
            self._forget_margins()

    def _forget_margins(self) -> None:
        """Begin with small margins again: those before came of chances that were hardly known."""
        self.margins = np.full(len(self.steps), self.margin)

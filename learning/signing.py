"""How the terms of a formal contract are chosen, by what agents expect of each (Christoffersen et al. 2023)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from ..contracts.formal import CONTRACT, shown
from ..contracts.loop import AgentView, Value
from ..core.random import episode_keys, uniform_array
from ..envs.game import Game

PROPOSALS = 50  # prices among which the terms are chosen
STARTS = 256  # starts over which values are averaged
CHOICE = 3  # the stream of those starts, which no phase of a run plays

Rule = Literal["best", "voted", "negotiated"]


class Choice(NamedTuple):
    """Which contract is signed, and why."""

    theta: float | None  # the price; None for the null contract
    values: np.ndarray  # (PROPOSALS, N) what each agent expects under each price, averaged over the starts
    null: np.ndarray  # (N,) and under the null contract
    prices: np.ndarray  # (PROPOSALS,)

    @property
    def in_favour(self) -> float:
        """The share of the agents that strictly prefer the contract to none; nan where none is signed."""
        if self.theta is None:
            return float("nan")
        return float((self.values[self.prices == self.theta] > self.null).mean())


def choose(game: Game, value: Value, highest: float, *, rule: Rule, seed: int) -> Choice:
    """The contract that agents sign who expect `value` at the start, of `PROPOSALS` prices ~ U[0, `highest`] and null.

    The paper signs anew at every start; here one contract holds for all episodes, so that fresh agents can learn under
    it: values are averaged over `STARTS` starts. The rule is `best` or `voted` (`solved`), or `negotiated`
    (`negotiated`), where a voter is willing with certainty if it expects more than under null, else not at all.
    """
    nowhere = np.zeros(STARTS, np.int64)
    keys = episode_keys(seed, CHOICE, np.arange(STARTS), nowhere)
    draws = uniform_array(keys[0], CONTRACT, np.arange(PROPOSALS + 3))
    prices, observations = highest * draws[:PROPOSALS], game.observe(game.reset(keys))

    def expected(theta: float, held: bool) -> np.ndarray:
        terms = shown(np.full(STARTS, theta), np.full(STARTS, held), len(game.agents))
        return value(AgentView(observations, terms)).mean(axis=0, dtype=np.float64)

    values, null = np.array([expected(theta, True) for theta in prices]), expected(0.0, False)
    if rule == "negotiated":
        signed = negotiated(values, null, (values > null).astype(np.float64), draws[PROPOSALS:])
    else:
        signed = solved(values, null, vote=rule == "voted")
    return Choice(None if signed is None else float(prices[signed]), values, null, prices)


def solved(values: np.ndarray, null: np.ndarray, *, vote: bool) -> int | None:
    """The row of `values` (K, N) with the highest sum over the agents; None where `null` (N,) has no lower sum.

    With a `vote` it holds only if at least as many agents strictly prefer it to null as do not.
    """
    best = int(values.sum(axis=1).argmax())
    if values[best].sum() <= null.sum():
        return None
    return None if vote and 2 * int((values[best] > null).sum()) < len(null) else best


def negotiated(values: np.ndarray, null: np.ndarray, willing: np.ndarray, draws: np.ndarray) -> int | None:
    """What agent 0 proposes, a row of `values` (K, N), if the others accept it; else None.

    The voters are the others, two of them where there are more than two, drawn; they accept a row with the product of
    their probabilities `willing` (K, N). Agent 0 knows those, but not who will vote, and proposes what promises it
    most, the null contract unless something promises more. `draws` (3,) in [0, 1): the two voters, the acceptance.
    """
    others, N = np.arange(1, len(null)), len(null)
    accepted = _likely(willing[:, others])
    promised = accepted * values[:, 0] + (1.0 - accepted) * null[0]
    proposal = int(promised.argmax())
    if promised[proposal] <= null[0]:
        return None
    voters = others
    if N > 3:
        first, second = int(draws[0] * (N - 1)), int(draws[1] * (N - 2))
        voters = others[[first, second + (second >= first)]]
    return proposal if draws[2] < willing[proposal, voters].prod() else None


def _likely(willing: np.ndarray) -> np.ndarray:
    """(K,): the chance that all voters accept, given each of the others' (K, M): of any two of them, if M > 2."""
    M = willing.shape[1]
    if M <= 2:
        return willing.prod(axis=1)
    pairs = willing.sum(axis=1) ** 2 - (willing**2).sum(axis=1)  # over ordered pairs of different agents
    return pairs / (M * (M - 1))

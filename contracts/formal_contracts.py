"""Formal contracts: binding terms, fixed before play, under which agents pay each other; and how terms are chosen.

A contract is a price `theta` on something that an agent does (`clause`), or none at all: the null contract. It moves
`theta` from payers to payees and creates nothing, so transfers sum to zero. Christoffersen, Haupt and Hadfield-Menell
2023, "Get it in writing: formal contracts mitigate social dilemmas in multi-agent RL" (arXiv:2208.10469): agents first
learn to play under any contract; what they then expect of each at the start decides which they sign.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from ..core.config import UsageError
from ..core.random import episode_keys, uniform_array
from ..envs.cleanup.game import SSD
from ..envs.game import Game
from .loop import Seen, Value

CONTRACT = 1 << 40  # a contract's draws stand at a step that no episode reaches, so they never meet the game's
PROPOSALS = 50  # prices among which the terms are chosen
STARTS = 256  # starts over which values are averaged
CHOICE = 3  # the stream of those starts, which no phase of a run plays

RECORDED = ("theta", "held")  # of a contract: its price, and whether there is one

Rule = Literal["best", "voted", "negotiated"]


class Clause(NamedTuple):
    """What a game's contract is about."""

    owed: Callable[[Any], np.ndarray]  # events -> (B, N, N) at a price of 1, from payer (axis 1) to payee (axis 2)
    highest: float  # the highest price that is proposed, in reward


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


def clause(game: Game) -> Clause:
    """What contracts on `game` are about, by its verifiable facts. Raises UsageError for a game that has none.

    - `own_picked`, the Coin Game: who picks another's coin pays theta to the coin's owner; theta in [0, 2]. Ours.
    - `cleaned`, Cleanup: who cleans gets theta for every cell, paid evenly by the others; theta in [0, 0.2], as in the
      paper. The small maps of LIO have few cells, each worth more: a wage of 0.2 buys two thirds of the optimum
      there in equilibrium, one of 0.65 nearly all of it. On every map but the paper's it is [0, 1].
    - `low_density_eaten`, Harvest: who eats an apple of low density pays theta, split evenly among the others; theta
      in [0, 10].
    """
    facts = game.verifiable
    if "own_picked" in facts:
        return Clause(_picked, 2.0)
    if "cleaned" in facts:
        highest = 0.2 if getattr(game, "map", None) == SSD else 1.0
        return Clause(lambda events: _apart(_counts(game, events, "cleaned")).transpose(0, 2, 1), highest)
    if "low_density_eaten" in facts:
        return Clause(lambda events: _apart(_counts(game, events, "low_density_eaten")), 10.0)
    raise UsageError(
        f"a contract pays on whose coin is picked, on cells cleaned, or on apples of low density; got a "
        f"{type(game).__name__}, choose a Coin Game, Cleanup or Harvest"
    )


def shown(theta: np.ndarray, held: np.ndarray, players: int) -> np.ndarray:
    """(B, N, 2) float32: what agents see of their contract, (theta, 1), or (0, 0) without one; `theta`, `held` (B,).

    The null contract has a flag of its own: it is not a contract of price 0.
    """
    both = np.stack([np.where(held, theta, 0.0), held], axis=-1).astype(np.float32)
    return np.repeat(both[:, None], players, axis=1)


def kept(theta: np.ndarray, held: np.ndarray) -> np.ndarray:
    """(B, 2): what is recorded of contracts, as `RECORDED` names it; without one theta is nan. `theta`, `held` (B,)."""
    return np.stack([np.where(held, theta, np.nan), held], axis=-1)


# How terms are chosen


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
        return value(Seen(observations, terms)).mean(axis=0, dtype=np.float64)

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


# What is owed, at a price of 1


def _picked(events: Any) -> np.ndarray:
    picked = events.picked
    return (picked & ~np.eye(picked.shape[1], dtype=bool)).astype(np.float32)


def _counts(game: Game, events: Any, fact: str) -> np.ndarray:
    """(B, N): how often each agent did what a verifiable fact says."""
    return game.facts(events)[..., game.verifiable.index(fact)]


def _apart(counts: np.ndarray) -> np.ndarray:
    """(B, N, N): `counts` (B, N) of each agent, split evenly among the others."""
    N = counts.shape[1]
    return np.where(np.eye(N, dtype=bool), 0.0, counts[:, :, None] / (N - 1)).astype(np.float32)

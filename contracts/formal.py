"""Formal contracts: binding terms, fixed before play, under which agents pay each other; and how terms are chosen.

A contract is a price `theta` on something that an agent does (`clause`), or none at all: the null contract. It moves
`theta` from payers to payees and creates nothing, so transfers sum to zero. Christoffersen, Haupt and Hadfield-Menell
2023, "Get it in writing: formal contracts mitigate social dilemmas in multi-agent RL" (arXiv:2208.10469): agents first
learn to play under any contract; what they then expect of each at the start decides which they sign.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..core.config import UsageError
from ..envs.cleanup.game import SSD
from ..envs.game import Game

CONTRACT = 1 << 40  # a contract's draws stand at a step that no episode reaches, so they never meet the game's

RECORDED = ("theta", "held")  # of a contract: its price, and whether there is one


class Clause(NamedTuple):
    """What a game's contract is about."""

    owed: Callable[[Any], np.ndarray]  # events -> (B, N, N) at a price of 1, from payer (axis 1) to payee (axis 2)
    highest: float  # the highest price that is proposed, in reward


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

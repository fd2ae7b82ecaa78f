"""A contract whose price is drawn anew for every episode: the first stage of formal contracting."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from numba import njit
from pydantic import Field, model_validator

from ..contracts.core import Decisions, Ledger, Mechanism, Transition, nothing
from ..envs.coin_game import CoinGame
from ..envs.config import configuration
from ..envs.core import uniform

CONTRACT = 1 << 40  # the contract's draws stand at a step that no episode reaches, so they never meet the game's


class Contract(NamedTuple):
    """What holds for an episode."""

    price: np.ndarray  # (B,) float32 theta, 0 where no contract holds
    held: np.ndarray  # (B,) bool: whether there is a contract, be its price 0 or not


@configuration
class DrawnContract(Mechanism):
    """Who picks another's coin pays theta to the coin's owner. Transfers: they sum to zero.

    theta ~ U[0, theta_max] is drawn from the episode's key and holds for the episode; with `null_probability` there is
    no contract. Agents see (theta, 1), or (0, 0) without a contract: no contract is not a contract of price 0. The
    terms are `Contract`, and so is `memory`. It pays on the game's event `picked` (B, N, N), who picked whose coin.

    Christoffersen, Haupt and Hadfield-Menell 2023, "Get it in writing", stage 1, in which agents learn to play under
    any contract; that the null contract is trained too, with a probability of its own, is ours.

    Raises UsageError for any game but a Coin Game.
    """

    terms_size: ClassVar[int] = 2

    theta_max: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.0
    """The highest price of another's coin, in reward."""

    null_probability: Annotated[float, Field(ge=0, le=1)] = 0.25
    """How often an episode is played without a contract."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not isinstance(self.game, CoinGame):
            raise ValueError(f"it pays on whose coin is picked; got a {type(self.game).__name__}, choose a Coin Game")
        return self

    def start(self, keys: np.ndarray) -> Contract:
        return Contract(*_draw(keys, self.theta_max, self.null_probability))

    def offer(self, memory: Contract, state: Any, decisions: Decisions | None) -> tuple[Contract, Contract]:
        return memory, memory

    def view(self, terms: Contract, B: int) -> np.ndarray:
        shown = np.stack([terms.price, terms.held], axis=-1).astype(np.float32)
        return np.repeat(shown[:, None], len(self.game.agents), axis=1)

    def settle(self, memory: Contract, transition: Transition) -> tuple[Ledger, Contract]:
        taken = transition.events.picked & ~np.eye(len(self.game.agents), dtype=bool)
        transfers = transition.terms.price[:, None, None] * taken
        return nothing(transition.rewards)._replace(transfers=transfers), memory


@njit(cache=True)
def _draw(keys: np.ndarray, theta_max: float, null_probability: float) -> tuple[np.ndarray, np.ndarray]:
    price = np.zeros(len(keys), np.float32)
    held = np.zeros(len(keys), np.bool_)
    for b in range(len(keys)):
        held[b] = uniform(keys[b], CONTRACT, 0) >= null_probability
        if held[b]:
            price[b] = theta_max * uniform(keys[b], CONTRACT, 1)
    return price, held

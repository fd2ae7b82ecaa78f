"""A formal contract whose price is drawn anew for each episode: the first stage of formal contracting."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.formal import CONTRACT, RECORDED, clause, kept, shown
from ..contracts.ledger import Ledger
from ..contracts.mechanism import Decisions, Mechanism, Transition
from ..core.config import configuration
from ..core.random import uniform_array
from ..core.search_space import Range, SearchSpace


class Contract(NamedTuple):
    """The terms that hold for an episode."""

    price: np.ndarray  # (B,) float32 theta, 0 where no contract holds
    held: np.ndarray  # (B,) bool: whether there is a contract, be its price 0 or not


@configuration
class DrawnContract(Mechanism):
    """Agents pay each other theta for the act that their formal contract names. Transfers: they sum to zero.

    The act depends on the game (`contracts/formal.py`). In the Coin Game, an agent that picks another's coin pays the
    coin's owner. In Cleanup, the others pay an agent that cleans. In Harvest, an agent that eats an apple of low
    density pays the others. theta ~ U[0, theta_max] is drawn from the episode's key and holds for the episode; with
    probability `null_probability` there is no contract. Agents see (theta, 1), or (0, 0) without a contract, because
    no contract differs from a contract of price 0. Both the terms and `memory` are a `Contract`.

    Christoffersen, Haupt and Hadfield-Menell 2023, "Get it in writing", stage 1, in which agents learn to play under
    any contract. Training without a contract too, with a probability of its own, is ours.

    Raises UsageError for a game other than the Coin Game, Cleanup and Harvest.
    """

    terms_size: ClassVar[int] = 2

    theta_max: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """The highest price, in reward. The default is the game's own: 2 in the Coin Game, 0.2 in Cleanup (1 on maps other
    than the paper's), 10 in Harvest."""

    null_probability: Annotated[float, Field(ge=0, le=1)] = 0.25
    """The probability that an episode has no contract."""

    tuned: ClassVar[SearchSpace] = {"null_probability": Range(0.05, 0.5)}

    @model_validator(mode="after")
    def _check(self) -> Self:
        clause(self.game)
        return self

    @property
    def highest(self) -> float:
        """The highest price: `theta_max`, or the game's own."""
        return clause(self.game).highest if self.theta_max is None else self.theta_max

    def start(self, keys: np.ndarray) -> Contract:
        held = uniform_array(keys, CONTRACT, 0) >= self.null_probability
        price = np.where(held, self.highest * uniform_array(keys, CONTRACT, 1), 0.0)
        return Contract(price.astype(np.float32), held)

    def offer(self, memory: Contract, state: Any, decisions: Decisions | None) -> tuple[Contract, Contract]:
        return memory, memory

    def view(self, terms: Contract, B: int) -> np.ndarray:
        return shown(terms.price, terms.held, len(self.game.agents))

    @property
    def recorded(self) -> tuple[str, ...]:
        return RECORDED

    def record(self, terms: Contract, B: int) -> np.ndarray:
        return kept(terms.price, terms.held)

    def settle(self, memory: Contract, transition: Transition) -> tuple[Ledger, Contract]:
        transfers = transition.terms.price[:, None, None] * clause(self.game).owed(transition.events)
        return Ledger.zeros(*transition.rewards.shape)._replace(transfers=transfers), memory

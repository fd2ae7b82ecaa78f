"""A contract whose price is drawn anew for every episode: the first stage of formal contracting."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.formal import CONTRACT, RECORDED, clause, kept, shown
from ..contracts.ledger import Ledger, nothing
from ..contracts.mechanism import Decisions, Mechanism, Transition
from ..core.config import configuration
from ..core.random import uniform_array


class Contract(NamedTuple):
    """What holds for an episode."""

    price: np.ndarray  # (B,) float32 theta, 0 where no contract holds
    held: np.ndarray  # (B,) bool: whether there is a contract, be its price 0 or not


@configuration
class DrawnContract(Mechanism):
    """Agents pay each other theta for what their contract is about. Transfers: they sum to zero.

    What that is depends on the game (`contracts/formal_contracts.py`): who picks another's coin pays its owner, who
    cleans is paid by the others, who eats an apple of low density pays the others. theta ~ U[0, theta_max] is drawn
    from the episode's key and holds for the episode; with `null_probability` there is no contract. Agents see
    (theta, 1), or (0, 0) without a contract: no contract is not a contract of price 0. The terms are `Contract`, and
    so is `memory`.

    Christoffersen, Haupt and Hadfield-Menell 2023, "Get it in writing", stage 1, in which agents learn to play under
    any contract; that the null contract is trained too, with a probability of its own, is ours.

    Raises UsageError for a game that is no Coin Game, Cleanup or Harvest.
    """

    terms_size: ClassVar[int] = 2

    theta_max: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """The highest price, in reward; the game's own where none is given: 2 in the Coin Game, 0.2 in Cleanup, 1 on its
    maps other than the paper's, 10 in Harvest."""

    null_probability: Annotated[float, Field(ge=0, le=1)] = 0.25
    """How often an episode is played without a contract."""

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
        return nothing(transition.rewards)._replace(transfers=transfers), memory

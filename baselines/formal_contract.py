"""The formal contract that agents signed, the same in every episode: the second stage of formal contracting."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.formal import RECORDED, clause, kept, shown
from ..contracts.ledger import Ledger
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import configuration
from ..core.search_space import Range, SearchSpace
from ..envs.game import Game


@configuration
class FormalContract(Mechanism):
    """Agents pay each other theta for the act that their contract names, in every episode. Transfers: they sum to zero.

    The act depends on the game, as for `drawn-contract`. The agents that learned under drawn prices choose theta: in a
    suite, `theta: {from: drawn-contract/dqn.voted_theta}` is the price that they sign by vote; `best_theta` is their
    price without a vote, `negotiated_theta` their price by negotiation (`learning/signing.py`). Agents see (theta, 1),
    or (0, 0) without a contract. The mechanism has no memory, so an audit can judge the contract exactly.

    Christoffersen, Haupt and Hadfield-Menell 2023, "Get it in writing", stage 2. In the paper's public code the very
    agents that learned under drawn prices play on under the contract that they sign, and go on learning: in a suite,
    `agents_from: drawn-contract/dqn` lets them. Without it fresh agents learn under the signed contract, as under every
    mechanism, and must find out anew what it is good for.

    Raises UsageError for a game other than the Coin Game, Cleanup and Harvest.
    """

    terms_size: ClassVar[int] = 2

    theta: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """The price, in reward; null for no contract."""

    @classmethod
    def searched(cls, game: Game) -> SearchSpace:
        return {"theta": Range(0.0, clause(game).highest)}

    @model_validator(mode="after")
    def _check(self) -> Self:
        clause(self.game)
        return self

    def view(self, terms: Any, B: int) -> np.ndarray:
        return shown(*self._everywhere(B), len(self.game.agents))

    @property
    def recorded(self) -> tuple[str, ...]:
        return RECORDED

    def record(self, terms: Any, B: int) -> np.ndarray:
        return kept(*self._everywhere(B))

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        if self.theta is None:
            return Ledger.zeros(*transition.rewards.shape), memory
        transfers = (self.theta * clause(self.game).owed(transition.events)).astype(np.float32)
        return Ledger.zeros(*transition.rewards.shape)._replace(transfers=transfers), memory

    def _everywhere(self, B: int) -> tuple[np.ndarray, np.ndarray]:
        """(B,) theta, 0 without a contract, and (B,) whether there is one."""
        return np.full(B, self.theta or 0.0), np.full(B, self.theta is not None)

"""The contract that agents signed, the same for every episode: the second stage of formal contracting."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.formal import RECORDED, clause, kept, shown
from ..contracts.ledger import Ledger, nothing
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import configuration


@configuration
class FormalContract(Mechanism):
    """Agents pay each other theta for what their contract is about, in every episode. Transfers: they sum to zero.

    What that is depends on the game, as for `drawn-contract`, whose agents choose theta: in a suite,
    `theta: {from: drawn-contract/dqn.voted_theta}` is the price that those agents sign who learned under drawn prices
    (`contracts/formal_contracts.py`; `best_theta` without a vote, `negotiated_theta` by negotiation). Agents see
    (theta, 1), or (0, 0) under the null contract. Nothing is remembered, so the contract can be judged exactly.

    Christoffersen, Haupt and Hadfield-Menell 2023, "Get it in writing", stage 2. There the same agents go on; here, as
    under every mechanism, fresh agents learn under what was signed.

    Raises UsageError for a game that is no Coin Game, Cleanup or Harvest.
    """

    terms_size: ClassVar[int] = 2

    theta: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """The price, in reward; none for the null contract."""

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
            return nothing(transition.rewards), memory
        transfers = (self.theta * clause(self.game).owed(transition.events)).astype(np.float32)
        return nothing(transition.rewards)._replace(transfers=transfers), memory

    def _everywhere(self, B: int) -> tuple[np.ndarray, np.ndarray]:
        """(B,) theta, 0 without a contract, and (B,) whether there is one."""
        return np.full(B, self.theta or 0.0), np.full(B, self.theta is not None)

"""The contract of a principal that sees outcomes only: so much for each, whatever the agent did to bring it about."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..core.config import UsageError, configuration
from .ledger import Ledger
from .mechanism import Decisions, Summary, Transition
from .recommendation import RecommendationContract


@configuration
class OutcomeContract(RecommendationContract):
    """In every state a payment for each verifiable outcome, with limited liability (pay >= 0). Payments.

    Terms are the principal's `Decisions`, with `promised` (B, N, K): what each of the game's K verifiable facts pays,
    whatever the action. Agents see all of it, and the action that it is meant to induce. Ivanov et al. 2024, section 2.
    """

    shows_pay: ClassVar[bool] = True  # type: ignore[misc]
    probation: ClassVar[int] = 0  # type: ignore[misc]
    principal: ClassVar[str] = "outcome-dqn"

    @property
    def terms_size(self) -> int:  # type: ignore[override]
        return len(self.game.action_names) + len(self.game.verifiable)

    @property
    def promised_shape(self) -> tuple[int, ...]:
        return (len(self.game.agents), len(self.game.verifiable))

    @property
    def promised_shapes(self) -> tuple[tuple[int, ...], ...]:
        return (self.promised_shape,)

    def check_principal(self) -> None:
        game, shape = self.game, self.game.observation_space.shape
        counts = len(game.agents), len(game.action_names), len(game.verifiable)
        if not (counts == (1, 2, 2) and shape == (1, 1) and game.classes):
            raise UsageError(
                f"{type(game).__name__} has {counts[0]} agents, {counts[1]} actions, {counts[2]} verifiable facts and "
                f"observations of shape {shape}; payments on outcomes are learned for one agent, two actions, two "
                "outcomes and an observation that is one class: ask for a tree"
            )

    def view(self, terms: Decisions, B: int) -> np.ndarray:
        recommended = np.eye(len(self.game.action_names), dtype=np.float32)[terms.recommended]
        return np.concatenate([recommended, terms.promised], axis=-1)

    def summary(self, terms: Decisions, B: int) -> Summary:
        return Summary(terms.recommended, terms.promised, np.full(terms.recommended.shape, ""))

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        payments = (transition.terms.promised * self.game.facts(transition.events)).sum(axis=-1)
        return Ledger.zeros(*transition.rewards.shape)._replace(payments=payments.astype(np.float32)), memory

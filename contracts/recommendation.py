"""The contract of Ivanov et al. 2024: in every state a recommended action, and pay if and only if it is followed."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..envs.config import configuration
from .core import Decisions, Ledger, Mechanism, Transition, nothing


@configuration
class RecommendationContract(Mechanism):
    """A principal recommends an action to each agent and pays it for following, with limited liability (pay >= 0).

    The agent sees its recommendation, one-hot, and not its price: the paper lets it learn what following is worth.
    Terms are the principal's `Decisions`. Ivanov et al. 2024, section 5.
    """

    principal: ClassVar[str] = "dqn"

    @property
    def terms_size(self) -> int:  # type: ignore[override]
        return len(self.game.action_names)

    def offer(self, memory: Any, state: Any, decisions: Decisions | None) -> tuple[Decisions, Any]:
        if decisions is None:
            raise ValueError("a recommendation contract needs a principal's decisions for every step")
        return decisions, memory

    def view(self, terms: Decisions, B: int) -> np.ndarray:
        return np.eye(len(self.game.action_names), dtype=np.float32)[terms.recommended]

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        followed = self.complied(transition.terms, transition.actions)
        payments = np.where(followed, transition.terms.promised, 0.0).astype(np.float32)
        return nothing(transition.rewards)._replace(payments=payments), memory

    def complied(self, terms: Decisions, actions: np.ndarray) -> np.ndarray:
        return terms.recommended == actions  # type: ignore[no-any-return]

"""The contract of Ivanov et al. 2024: in every state a recommended action, and pay if and only if it is followed."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..envs.config import UsageError, configuration
from ..envs.core import hides_actions
from .core import Decisions, Ledger, Mechanism, Transition, nothing


@configuration
class RecommendationContract(Mechanism):
    """A principal recommends an action to each agent and pays it for following, with limited liability (pay >= 0).

    Terms are the principal's `Decisions`. Ivanov et al. 2024, section 5.
    """

    shows_pay: bool = False
    """Whether an agent sees what following pays, beside the recommended action; in the paper it must learn it."""

    principal: ClassVar[str] = "dqn"

    @property
    def terms_size(self) -> int:  # type: ignore[override]
        return len(self.game.action_names) + self.shows_pay

    def check_principal(self) -> None:
        if hides_actions(self.game):
            raise UsageError(
                f"it pays for actions, and {type(self.game).__name__} hides them; choose outcome-dqn, which pays on "
                "outcomes"
            )

    def offer(self, memory: Any, state: Any, decisions: Decisions | None) -> tuple[Decisions, Any]:
        if decisions is None:
            raise ValueError("a recommendation contract needs a principal's decisions for every step")
        return decisions, memory

    def view(self, terms: Decisions, B: int) -> np.ndarray:
        recommended = np.eye(len(self.game.action_names), dtype=np.float32)[terms.recommended]
        return np.concatenate([recommended, terms.promised[..., None]], axis=-1) if self.shows_pay else recommended

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        followed = self.complied(transition.terms, transition.actions)
        payments = np.where(followed, transition.terms.promised, 0.0).astype(np.float32)
        return nothing(transition.rewards)._replace(payments=payments), memory

    def complied(self, terms: Decisions, actions: np.ndarray) -> np.ndarray:
        return terms.recommended == actions

"""The control for every principal: its recommendations, without its payments."""

from __future__ import annotations

from typing import Any, ClassVar

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Transition
from ..contracts.recommendation import RecommendationContract
from ..core.config import configuration


@configuration
class Advice(RecommendationContract):
    """A trained principal shows each agent its recommendation and pays nothing for following it. No money of any kind.

    A signal alone can already coordinate the agents, so the effect of payments is the difference to this mechanism.
    Ours.
    """

    probation: ClassVar[int] = 0  # type: ignore[misc]

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        return Ledger.zeros(*transition.rewards.shape), memory

"""The control of every principal: its recommendations, without its money."""

from __future__ import annotations

from typing import Any, ClassVar

from ..contracts.ledger import Ledger, nothing
from ..contracts.mechanism import Transition
from ..contracts.recommendation import RecommendationContract
from ..core.config import configuration


@configuration
class Advice(RecommendationContract):
    """A trained principal's recommendations are shown and following them pays nothing. No money of any kind.

    The effect of the payments is the difference to this: a signal alone can already coordinate. Ours.
    """

    probation: ClassVar[int] = 0  # type: ignore[misc]

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        return nothing(transition.rewards), memory

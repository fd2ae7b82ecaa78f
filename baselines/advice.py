"""The controls for every principal: its recommendations, without its payments."""

from __future__ import annotations

from typing import Any, ClassVar

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Transition
from ..contracts.recommendation import RecommendationContract
from ..core.config import configuration
from .prosocial import caring


@configuration
class Advice(RecommendationContract):
    """A trained principal shows each agent its recommendation and pays nothing for following it. No money of any kind.

    A signal alone can already coordinate the agents, so the effect of payments is the difference to this mechanism.
    Ours.
    """

    probation: ClassVar[int] = 0  # type: ignore[misc]

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        return Ledger.zeros(*transition.rewards.shape), memory


@configuration
class JointAdvice(Advice):
    """As `advice`, but agent `i` learns from `sum_j r_j`, the welfare of the step. Shaping: no money moves.

    The agents are a team that a trained principal advises. Advice coordinates even agents without a conflict of
    interest, so the difference to `joint` is what the advice alone is worth to them, and a principal that pays selfish
    agents can be compared with a team that knows as much. Ours.
    """

    common_reward: ClassVar[bool] = True

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        return caring(transition, 1.0), memory

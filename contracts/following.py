"""The contract under which Algorithm 3 trains: in each episode some agents follow, and the others do as they like."""

from __future__ import annotations

import numpy as np

from ..core.config import configuration
from ..core.random import uniform_array
from .recommendation import RecommendationContract

FOLLOW_SLOT = 1_000  # of the draws of step 0, above those of any game: who follows in an episode


@configuration
class FollowedContract(RecommendationContract):
    """The recommendation contract of training: in each episode, agent i follows with probability `follow` (f_i = 1).

    Its memory is f, (B, N) bool, drawn from the episode's key.
    """

    follow: float = 0.5

    def start(self, keys: np.ndarray) -> np.ndarray:
        slots = FOLLOW_SLOT + np.arange(len(self.game.agents))
        return uniform_array(keys[:, None], 0, slots[None, :]) < self.follow

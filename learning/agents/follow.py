"""`follow`: obedient agents, who measure a principal apart from anybody's learning."""

from __future__ import annotations

from collections.abc import Generator
from typing import ClassVar, Self

import numpy as np

from ...contracts.loop import AgentView
from ...contracts.mechanism import Mechanism
from ...contracts.recommendation import RecommendationContract
from ...core.checkpoint import Checkpoint, Saved
from ...core.config import UsageError, configuration
from ..role import Role, Task, Update


class FollowPolicy(Saved):
    """Every agent takes the action that the first `actions` numbers of its terms recommend."""

    def __init__(self, actions: int) -> None:
        self.actions = actions

    def __call__(self, seen: AgentView) -> np.ndarray:
        """The agents' actions (B, N)."""
        return seen.terms[..., : self.actions].argmax(axis=-1)

    def checkpoint(self) -> Checkpoint:
        return Checkpoint({"kind": "follow", "actions": self.actions})

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        return cls(checkpoint.about["actions"])


@configuration
class Follow(Role):
    """Nobody learns: every agent follows the recommendation."""

    plays: ClassVar[str] = "agents"
    learns: ClassVar[bool] = False

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a mechanism that recommends nothing."""
        if not isinstance(mechanism, RecommendationContract):
            raise UsageError(
                f"{type(mechanism).__name__} recommends nothing that agents could follow: choose an algorithm"
            )

    def learn(self, task: Task) -> Generator[Update, None, FollowPolicy]:
        yield from ()
        return FollowPolicy(len(task.game.action_names))

    def kept(self) -> type[FollowPolicy]:
        return FollowPolicy

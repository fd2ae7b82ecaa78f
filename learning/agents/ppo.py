"""`ppo`: proximal policy optimisation of the agents, with RLlib's loss."""

from __future__ import annotations

from typing import ClassVar

from ...core.config import configuration
from ..role import Task
from ..settings import Count, OnPolicy
from .actor_critic import ActorCriticAgents


@configuration
class PPO(OnPolicy, ActorCriticAgents):
    """Clipped policy gradient with generalised advantages, with one policy for all agents by default."""

    epochs: Count = 4
    """Passes over each rollout."""
    minibatches: Count = 4
    """Gradient steps in a pass."""

    rllib_loss: ClassVar[str] = "ppo"

    @property
    def cuts(self) -> tuple[int, int]:
        return self.minibatches, self.epochs

    def training(self, task: Task) -> dict[str, object]:
        return {**super().training(task), "clip_param": self.clip}

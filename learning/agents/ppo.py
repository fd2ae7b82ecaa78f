"""`ppo`: proximal policy optimisation of the agents."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...core.config import configuration
from ..settings import Count, Network, OnPolicy, Optimiser, Play, Shared
from .networked import NetworkedAgents


@configuration
class PPO(Shared, Network, Optimiser, OnPolicy, NetworkedAgents):
    """Clipped policy gradient with generalised advantages, with one policy for all agents by default."""

    environments: Count = 128
    """Parallel environments of a runner."""
    rollout_length: Annotated[int, Field(ge=1, alias="fragment")] = 32
    """Vector steps in a rollout."""
    epochs: Count = 4
    """Passes over each rollout."""
    minibatches: Count = 4
    """Gradient steps in a pass."""
    play: Play = "greedy"
    """Play in the evaluation. greedy: the most probable action; sampled: draw from the policy, as in training."""

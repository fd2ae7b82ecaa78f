"""`dqn`: deep Q-learning of the agents."""

from __future__ import annotations

from ...core.config import configuration
from ..settings import Count, Network, Optimiser, Replayed, Shared
from .networked import NetworkedAgents


@configuration
class DQN(Shared, Network, Optimiser, Replayed, NetworkedAgents):
    """Double, dueling deep Q-learning with averaged targets, with one policy for all agents by default."""

    n_step: Count = 4
    """Steps of reward before a target bootstraps."""

"""What the agents' algorithms share whose policies are networks that RLlib trains."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar

from ...core.config import configuration
from ..role import Role, Task, Update

if TYPE_CHECKING:
    from .policy import Policy


@configuration
class NetworkedAgents(Role):
    """Agents that play by networks over what they see: their observation, and the terms that they are offered."""

    plays: ClassVar[str] = "agents"

    def learn(self, task: Task) -> Generator[Update, None, Policy]:
        from ..configurations import agents_config, agents_network, players_of
        from ..rllib.training import begun, learned, updates
        from .policy import Policy

        config = agents_config(
            task.game, task.mechanism, task.principal, self, seed=task.seed, steps=task.steps, resources=task.resources
        )
        kind = "q" if type(self).__name__ == "DQN" else "actor-critic"
        players, network = players_of(task.game, self.policies), agents_network(task.game, task.mechanism, self)
        policy = Policy(kind, players, network, getattr(self, "play", "greedy"))
        return (yield from updates(config, task.steps, lambda a: learned(a, policy), begun(task.begin)))

    def kept(self) -> type[Policy]:
        from .policy import Policy

        return Policy

"""What the agents' algorithms share whose policies are networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from ...core.config import configuration
from ...envs.game import Game
from ..role import Task
from ..settings import Network, Shared
from ..trained import Columns, Tensors, Trained

if TYPE_CHECKING:
    import torch

    from ..networks import NetworkShape
    from .policy import Policy


@configuration
class NetworkedAgents(Shared, Network, Trained):
    """Agents that play by networks over what they see: their observation, and the terms that they are offered."""

    keeps: ClassVar[str] = ".agents.policy:Policy"
    plays: ClassVar[str] = "agents"
    continues: ClassVar[bool] = True
    kind: ClassVar[str] = "actor-critic"  # of network: "q" or "actor-critic"

    def modules(self, game: Game) -> dict[str, tuple[int, ...]]:
        """One module for all agents where they share a policy, else one each."""
        if self.policies == "shared":
            return {"agents": tuple(range(len(game.agents)))}
        return {name: (index,) for index, name in enumerate(game.agents)}

    def shape(self, task: Task) -> NetworkShape:
        """The arguments of a module's network, as they are stored with a policy."""
        from ..networks import shape_of

        return {
            "shape": shape_of(task.game), "beside": task.mechanism.terms_size,
            "actions": len(task.game.action_names), "encoder": self.encoder, "hidden": self.hidden,
        }  # fmt: skip

    def network(self, task: Task) -> torch.nn.Module:
        from .policy import NETWORKS

        return NETWORKS[self.kind](**self.shape(task))

    def each_module(self, task: Task, columns: Columns) -> dict[str, Columns]:
        """Each module's rows (n * P, ...) of columns (n, N, ...): an environment step's rows side by side."""
        return {
            name: {key: column.take(players, 1).reshape(-1, *column.shape[2:]) for key, column in columns.items()}
            for name, players in self.modules(task.game).items()
        }

    def frozen(self, weights: Mapping[str, Tensors], task: Task) -> Policy:
        return self.policy(self.modules(task.game), weights, task)

    def policy(self, modules: dict[str, tuple[int, ...]], weights: Mapping[str, Tensors], task: Task) -> Policy:
        """The policy of networks for the players of each of the modules, from the weights of each."""
        from .policy import Policy

        policy = Policy(self.kind, modules, self.shape(task), getattr(self, "play", "greedy"))
        for name, tensors in weights.items():
            policy.networks[name].load_state_dict(tensors)
        return policy

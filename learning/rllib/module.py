"""The RLModule of every role, and the roles of an Algorithm, which its configuration carries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import gymnasium as gym
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.distribution.torch.torch_distribution import TorchCategorical, TorchMultiCategorical
from ray.rllib.core.learner.utils import make_target_network
from ray.rllib.core.rl_module.apis import InferenceOnlyAPI, ValueFunctionAPI
from ray.rllib.core.rl_module.torch import TorchRLModule

from ..role import Task
from ..trained import PRINCIPAL, Tensors, Trained


@dataclass(frozen=True)
class Roles:
    """The roles of an Algorithm and their task: the part of its configuration that RLlib carries as `env_config`.

    Not a NamedTuple: Tune takes those apart where they stand in a parameter space.
    """

    task: Task
    roles: tuple[Trained, ...]  # agents first

    @cached_property
    def modules(self) -> dict[str, tuple[int, ...]]:
        """Every module, with the agents that it plays."""
        return {name: players for role in self.roles for name, players in role.modules(self.task.game).items()}

    @cached_property
    def role_of(self) -> dict[str, Trained]:
        """The role of every module."""
        return {name: role for role in self.roles for name in role.modules(self.task.game)}

    @property
    def acting(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The modules that play agents."""
        return ((name, players) for name, players in self.modules.items() if players)

    @property
    def deciding(self) -> Trained | None:
        """The role that learns to decide here; None where a frozen principal decides, or nobody."""
        return self.role_of.get(PRINCIPAL) if "principal" in self.task.phase.learns else None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """As with a task: RLlib's copies share it."""
        return self


class RoleModule(TorchRLModule, ValueFunctionAPI, InferenceOnlyAPI):
    """A role's network, and its average where the role has one, which runners do without."""

    def setup(self) -> None:
        self.role: Trained = self.model_config["role"]
        self.net = self.role.network(self.model_config["task"])
        self.target: torch.nn.Module | None = None

    def make_target(self) -> None:
        """Make the average, if the role has one."""
        if self.role.averaged:
            self.target = make_target_network(self.net)

    def get_non_inference_attributes(self) -> list[str]:
        return ["target"] if self.role.averaged else []

    def compute_values(self, batch: Tensors, embeddings: torch.Tensor) -> torch.Tensor:
        """RLlib's PPO loss passes on what it was given as embeddings: the values."""
        return embeddings

    def get_train_action_dist_cls(self) -> type[TorchCategorical | TorchMultiCategorical]:
        if isinstance(self.action_space, gym.spaces.MultiDiscrete):
            return TorchMultiCategorical.get_partial_dist_cls(input_lens=self.action_space.nvec.tolist())
        return TorchCategorical

    get_exploration_action_dist_cls = get_train_action_dist_cls

    def _forward_train(self, batch: Tensors, **kwargs: object) -> Tensors:
        return {}  # a loss calls the networks that it needs


def roles_of(config: AlgorithmConfig) -> Roles:
    """The roles of an Algorithm and their task."""
    return config.env_config["roles"]

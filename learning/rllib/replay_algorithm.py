"""The base of the algorithms that learn from replay."""

from __future__ import annotations

import numpy as np
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn import DQN, DQNConfig
from ray.rllib.utils.metrics import TD_ERROR_KEY

from ...core.random import Stream
from ..settings import Replayed
from .algorithm import ArrayAlgorithm, Results
from .learner import MinibatchLearner, MinibatchPlan
from .replay_buffer import Replay
from .runner import REPLAY, Rollout


class ReplayPlan(MinibatchPlan):
    """What `learner_config_dict` tells a `ReplayAlgorithm`."""

    batch: int
    replay: int
    priority: float
    warm_up: int


def replay_plan(settings: Replayed) -> ReplayPlan:
    """The plan with one gradient step for each vector step."""
    return {
        "minibatches": settings.rollout_length, "epochs": 1, "batch": settings.batch,
        "replay": settings.replay, "priority": settings.priority, "warm_up": settings.warm_up,
    }  # fmt: skip


def replay_config(
    algorithm: type[ReplayAlgorithm], learner: type[MinibatchLearner], settings: Replayed, plan: ReplayPlan
) -> DQNConfig:
    """The RLlib configuration of an algorithm that learns from replay; `configured` adds the task."""
    return (
        DQNConfig(algo_class=algorithm)
        .env_runners(num_envs_per_env_runner=settings.environments, rollout_fragment_length=settings.rollout_length)
        .learners(learner_class=learner, learner_config_dict=plan)
        .training(tau=settings.tau, grad_clip=10.0, grad_clip_by="global_norm")
    )


class ReplayAlgorithm(ArrayAlgorithm, DQN):
    """Stores every transition, and learns from sampled ones after the warm-up."""

    plan: ReplayPlan

    def setup(self, config: AlgorithmConfig) -> None:
        super().setup(config)
        self.plan = self.config.learner_config_dict
        self.replay = Replay(
            self.plan["replay"], self.plan["priority"], Stream(self.config.seed or 0, REPLAY, self.task.stream)
        )

    def learn(self, rollouts: list[Rollout]) -> dict[str, float]:
        for rollout in rollouts:
            self.replay.add(self.transitions(rollout))
        if self.steps < min(self.plan["warm_up"], self.task.steps // 10):
            return {}
        return self.learn_from(self.replay.draw(self.plan["minibatches"] * self.plan["batch"]))

    def transitions(self, rollout: Rollout) -> dict[str, np.ndarray]:
        """The joint rows (T * B, N, ...) of a rollout to store."""
        raise NotImplementedError

    def learn_from(self, drawn: np.ndarray) -> dict[str, float]:
        """Update the modules from the sampled rows, and the rows' priorities; returns the training metrics."""
        raise NotImplementedError


def td_errors(results: Results, module_id: str) -> np.ndarray:
    """The TD errors of every row of an update, in the rows' order: Learners hold consecutive parts of it."""
    return np.concatenate([np.ravel(part) for result in results for part in result[module_id][TD_ERROR_KEY].peek()])

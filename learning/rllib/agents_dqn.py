"""Deep Q-learning of the agents: RLlib's DQN loss, fed from arrays."""

from __future__ import annotations

import numpy as np
import torch
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.dqn.dqn_learner import QF_NEXT_PREDS, QF_PREDS, QF_TARGET_NEXT_PREDS
from ray.rllib.algorithms.dqn.torch.dqn_torch_learner import DQNTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.utils import make_target_network
from ray.rllib.core.rl_module.apis import QNetAPI, TargetNetworkAPI
from ray.rllib.core.rl_module.torch import TorchRLModule

from ...contracts.loop import AgentView
from ..agents.dqn import DQN as DQNSettings
from ..exploration import epsilon_greedy
from ..features import rows
from ..networks import QNetwork
from ..returns import n_step
from .algorithm import Results, minibatch_batch
from .learner import AveragedTargets, MinibatchLearner
from .replay_algorithm import ReplayAlgorithm, ReplayPlan, replay_config, replay_plan, td_errors
from .runner import ModuleBatch, Rollout


class DQNPlan(ReplayPlan):
    """What `learner_config_dict` tells `ArrayDQN`."""

    n_step: int


class QModule(TorchRLModule, QNetAPI, TargetNetworkAPI):
    """A Q-network and its average, over flat rows."""

    def setup(self) -> None:
        self.net = QNetwork(**self.model_config["network"])
        self.explore = self.model_config["explore"]  # progress -> epsilon, as (start, end, until)

    def make_target_networks(self) -> None:
        self.target = make_target_network(self.net)

    def get_target_network_pairs(self) -> list[tuple[torch.nn.Module, torch.nn.Module]]:
        return [(self.net, self.target)]

    def get_non_inference_attributes(self) -> list[str]:
        return ["target"]

    def compute_q_values(self, batch: ModuleBatch) -> ModuleBatch:
        return {QF_PREDS: self.net(batch[Columns.OBS])}

    def compute_values(self, batch: ModuleBatch) -> torch.Tensor:
        return self.net.values(batch[Columns.OBS])

    def forward_target(self, batch: ModuleBatch) -> ModuleBatch:
        return {QF_PREDS: self.target(batch[Columns.OBS])}

    def _forward_exploration(self, batch: ModuleBatch, **kwargs: object) -> ModuleBatch:
        greedy = self.net(batch[Columns.OBS]).argmax(dim=-1)
        return {
            Columns.ACTIONS: epsilon_greedy(
                greedy, self.action_space.n, self.explore, float(batch["progress"]), batch["noise"]
            )
        }

    def _forward_train(self, batch: ModuleBatch, **kwargs: object) -> ModuleBatch:
        with torch.no_grad():  # the loss reads only which action is best next
            after, target = self.net(batch[Columns.NEXT_OBS]), self.target(batch[Columns.NEXT_OBS])
        return {QF_PREDS: self.net(batch[Columns.OBS]), QF_NEXT_PREDS: after, QF_TARGET_NEXT_PREDS: target}


class ArrayDQNLearner(MinibatchLearner, AveragedTargets, DQNTorchLearner):
    """RLlib's DQN loss."""


class ArrayDQN(ReplayAlgorithm):
    """DQN over the rollouts of array runners."""

    plan: DQNPlan

    def transitions(self, rollout: Rollout) -> dict[str, np.ndarray]:
        return _transitions(rollout, self.plan["n_step"], self.config.gamma)

    def learn_from(self, drawn: np.ndarray) -> dict[str, float]:
        task, columns = self.task, _columns(self.replay.rows(drawn))
        batches = {name: _of(columns, players) for name, players in task.players.items()}
        results = self.update(minibatch_batch(batches, len(drawn)))
        if self.plan["priority"]:
            self.replay.reprioritise(drawn, self._errors(results, len(drawn)))
        return {
            f"{name}/{key}": float(results[0][name][key].peek())
            for name in task.players
            for key in ("qf_loss", "qf_mean")
        }

    def _errors(self, results: Results, count: int) -> np.ndarray:
        """The TD errors (count,) of the drawn rows, the mean over agents."""
        per_module = []
        for name, players in self.task.players.items():
            errors = td_errors(results, name)
            per_module.append(errors.reshape(count, len(players)).mean(axis=1))
        return np.mean(per_module, axis=0)


def _transitions(rollout: Rollout, n: int, discount: float) -> dict[str, np.ndarray]:
    """Joint rows (T * B, N, ...) of a rollout, each with its n-step return and the state that follows it."""
    returns = n_step(rollout.earned, rollout.terminated, rollout.ended, n, discount)
    B = np.arange(rollout.ended.shape[1])
    columns = {
        "observations": rollout.observations, "terms": rollout.terms, "actions": rollout.actions,
        "rewards": returns.total.astype(np.float32), "terminated": returns.terminated,
        "steps": returns.steps.astype(np.float32),
        "next_observations": rollout.next_observations[returns.last, B],
        "next_terms": rollout.next_terms[returns.last, B],
    }  # fmt: skip
    return {name: column.reshape(returns.last.size, *column.shape[2:]) for name, column in columns.items()}


def _columns(sampled: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """RLlib's columns, (n, N, ...), of sampled joint rows."""
    n, N = sampled["actions"].shape
    return {
        Columns.OBS: rows(AgentView(sampled["observations"], sampled["terms"])),
        Columns.NEXT_OBS: rows(AgentView(sampled["next_observations"], sampled["next_terms"])),
        Columns.ACTIONS: sampled["actions"].astype(np.int64),
        Columns.REWARDS: sampled["rewards"],
        Columns.TERMINATEDS: np.repeat(sampled["terminated"][:, None], N, axis=1),
        "weights": np.ones((n, N), np.float32),
        "n_step": np.repeat(sampled["steps"][:, None], N, axis=1),
    }


def _of(columns: dict[str, np.ndarray], players: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The rows of some agents, (n * players, ...), an environment step's rows side by side."""
    return {name: column[:, players].reshape(-1, *column.shape[2:]) for name, column in columns.items()}


def dqn_config(settings: DQNSettings) -> DQNConfig:
    """The RLlib configuration of the settings; `configured` adds the task."""
    plan: DQNPlan = {**replay_plan(settings), "n_step": settings.n_step}
    return replay_config(ArrayDQN, ArrayDQNLearner, settings, plan).training(
        gamma=settings.discount, double_q=True, num_atoms=1, td_error_loss_fn="huber"
    )

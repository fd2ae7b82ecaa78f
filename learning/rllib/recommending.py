"""Algorithm 3 as an RLlib DQN: one module over joint rows, its runner, its learner. `losses` has the loss."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.dqn.torch.dqn_torch_learner import DQNTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.utils import make_target_network
from ray.rllib.core.rl_module.apis import QNetAPI, TargetNetworkAPI
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.rllib.env import INPUT_ENV_SPACES
from ray.rllib.utils.metrics import TD_ERROR_KEY

from ...contracts.loop import AgentView, Situation
from ...contracts.mechanism import Decisions
from ...core.random import Stream
from ...envs.game import Symmetry, symmetries
from ..exploration import Schedule, epsilon_greedy
from ..joint_networks import all_follow, joint, joint_rows, others, principal_networks
from ..least_payments import least_payments
from ..losses.algorithm_3 import Transitions, Values, losses
from ..principals.algorithm_3 import Algorithm3 as PrincipalSettings
from .algorithm import minibatch_batch
from .learner import AveragedTargets, MinibatchLearner
from .replay_algorithm import ReplayAlgorithm, ReplayPlan, replay_config, replay_plan, td_errors
from .runner import ArrayEnvRunner, ModuleBatch, Rollout

MODULE = "principal"
FOLLOWS = "follows"


class PrincipalPlan(ReplayPlan):
    """What `learner_config_dict` tells Algorithm 3."""

    alpha: float
    favour: float
    mirrored: bool
    explore: Schedule


class PrincipalModule(TorchRLModule, QNetAPI, TargetNetworkAPI):
    """The principal's and the agents' networks over joint rows (n, N, D), and their averages."""

    def setup(self) -> None:
        self.networks = principal_networks(**self.model_config["shape"])

    def make_target_networks(self) -> None:
        self.target = make_target_network(self.networks)

    def get_target_network_pairs(self) -> list[tuple[torch.nn.Module, torch.nn.Module]]:
        return [(self.networks, self.target)]

    def get_non_inference_attributes(self) -> list[str]:
        return ["target"]

    def compute_q_values(self, batch: ModuleBatch) -> ModuleBatch:
        raise NotImplementedError("the learner reads all of Algorithm 3's values from forward_train")

    def forward_target(self, batch: ModuleBatch) -> ModuleBatch:
        raise NotImplementedError("the learner reads all of Algorithm 3's values from forward_train")

    def _forward_train(self, batch: ModuleBatch, **kwargs: object) -> ModuleBatch:
        rows_t, rows_tp1 = batch[Columns.OBS], batch[Columns.NEXT_OBS]
        others_t = others(batch[FOLLOWS])
        agents_t = torch.cat([rows_t, others_t], dim=-1)
        with torch.no_grad():
            agents_tp1 = torch.cat([rows_tp1, others_t], dim=-1)
            no_gradient = torch.cat([agents_tp1, all_follow(rows_t)])
            next_online, followers = joint(self.networks["agents"], no_gradient).chunk(2)
            next_target, followers_target = joint(self.target["agents"], no_gradient).chunk(2)
            principal_tp1 = joint(self.networks["principal"], rows_tp1)
            principal_tp1_target = joint(self.target["principal"], rows_tp1)
        return Values(
            joint(self.networks["agents"], agents_t), next_online, next_target, followers, followers_target,
            joint(self.networks["principal"], rows_t), principal_tp1, principal_tp1_target,
        )._asdict()  # fmt: skip


class PrincipalRunner(ArrayEnvRunner):
    """Plays the principal and its model of the agents: followers take the recommended action, the others their own."""

    def make_module(self) -> None:
        super().make_module()
        self.explore: Schedule = self.config.learner_config_dict["explore"]

    def get_spaces(self) -> dict[str, tuple[gym.Space, gym.Space]]:
        game = self.task.game
        N = len(game.agents)
        space = gym.spaces.Box(-np.inf, np.inf, (N, int(np.prod(game.observation_space.shape))), np.float32)
        actions = gym.spaces.MultiDiscrete([len(game.action_names)] * N)
        return dict.fromkeys((INPUT_ENV_SPACES, MODULE), (space, actions))

    def act(self, seen: AgentView) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        assert seen.noise is not None
        follows = self.loop.memory
        rows = joint_rows(seen.observations)
        extra = torch.from_numpy(others(follows).astype(np.float32))
        with torch.no_grad():
            own = joint(self._networks["agents"], torch.cat([rows, extra], dim=-1)).argmax(dim=-1)
        noise = torch.from_numpy(seen.noise)
        own = epsilon_greedy(own, len(self.task.game.action_names), self.explore, self.progress, noise)
        actions = np.where(follows, self.loop.terms.recommended, own.numpy())
        return actions, {FOLLOWS: follows}

    def decide(self, situation: Situation) -> Decisions:
        """Recommendations, with exploration, and the least payments by the online networks."""
        game, rows = self.task.game, joint_rows(self.task.game.observe(situation.state))
        noise = torch.from_numpy(situation.noise(len(game.agents)))
        with torch.no_grad():
            recommended = joint(self._networks["principal"], rows).argmax(dim=-1)
            recommended = epsilon_greedy(recommended, len(game.action_names), self.explore, self.progress, noise)
            followers = joint(self._networks["agents"], all_follow(rows))
            promised = least_payments(followers, followers, recommended)
        return Decisions(recommended.numpy(), promised.numpy())

    @property
    def _networks(self) -> torch.nn.ModuleDict:
        return self.module[MODULE].networks


class PrincipalLearner(MinibatchLearner, AveragedTargets, DQNTorchLearner):
    """The two losses of Algorithm 3."""

    def compute_loss_for_module(
        self, *, module_id: str, config: AlgorithmConfig, batch: ModuleBatch, fwd_out: ModuleBatch
    ) -> torch.Tensor:
        values = Values(**{name: fwd_out[name] for name in Values._fields})
        happened = Transitions(
            batch[Columns.ACTIONS], batch[FOLLOWS], batch[Columns.REWARDS], batch[Columns.TERMINATEDS]
        )
        plan: PrincipalPlan = self.config.learner_config_dict
        agents, principal, errors = losses(
            values, happened, discount=config.gamma, alpha=plan["alpha"], favour=plan["favour"]
        )
        self.metrics.log_value((module_id, TD_ERROR_KEY), errors, reduce="item_series")
        self.metrics.log_dict({"agents_loss": agents, "principal_loss": principal}, key=module_id, window=1)
        return agents + principal


class PrincipalDQN(ReplayAlgorithm):
    """Deep Q-learning of a principal and of its model of the agents."""

    plan: PrincipalPlan

    def learn_from(self, drawn: np.ndarray) -> dict[str, float]:
        columns = _columns(self.replay.rows(drawn))
        if self.plan["mirrored"]:
            columns = mirrored(columns, symmetries(self.task.game), self.replay.rng)
        results = self.update(minibatch_batch({MODULE: columns}, len(drawn)))
        self.replay.reprioritise(drawn, td_errors(results, MODULE))
        return {key: float(results[0][MODULE][key].peek()) for key in ("agents_loss", "principal_loss")}

    def transitions(self, rollout: Rollout) -> dict[str, np.ndarray]:
        """Joint rows (T * B, N, ...), rewards from the environment alone."""
        columns = {
            "observations": rollout.observations, "next_observations": rollout.next_observations,
            "actions": rollout.actions, "rewards": rollout.rewards.astype(np.float32),
            "terminated": rollout.terminated, FOLLOWS: rollout.extras[FOLLOWS],
        }  # fmt: skip
        T, B = rollout.ended.shape
        return {name: column.reshape(T * B, *column.shape[2:]) for name, column in columns.items()}


def _columns(sampled: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    n, N = sampled["actions"].shape
    return {
        Columns.OBS: sampled["observations"].reshape(n, N, -1).astype(np.float32),
        Columns.NEXT_OBS: sampled["next_observations"].reshape(n, N, -1).astype(np.float32),
        Columns.ACTIONS: sampled["actions"].astype(np.int64),
        Columns.REWARDS: sampled["rewards"],
        Columns.TERMINATEDS: sampled["terminated"].astype(np.float32),
        FOLLOWS: sampled[FOLLOWS].astype(np.float32),
    }


def mirrored(columns: dict[str, np.ndarray], views: Sequence[Symmetry], rng: Stream) -> dict[str, np.ndarray]:
    """Every row of `columns` as it is seen in one of the `views`, drawn with `rng`."""
    drawn = rng.integers(len(views), len(columns[Columns.ACTIONS]))
    cells = np.stack([view.cells for view in views])[drawn][:, None]  # (n, 1, D)
    actions = np.stack([view.actions for view in views])[drawn]  # (n, A)
    return {
        **columns,
        Columns.OBS: np.take_along_axis(columns[Columns.OBS], cells, axis=2),
        Columns.NEXT_OBS: np.take_along_axis(columns[Columns.NEXT_OBS], cells, axis=2),
        Columns.ACTIONS: np.take_along_axis(actions, columns[Columns.ACTIONS], axis=1),
    }


def principal_config(settings: PrincipalSettings) -> DQNConfig:
    """The RLlib configuration of the settings; `configured` adds the task."""
    plan: PrincipalPlan = {
        **replay_plan(settings), "alpha": settings.alpha, "favour": settings.favour, "mirrored": settings.mirrored,
        "explore": (settings.epsilon, settings.epsilon_final, settings.exploration_fraction),
    }  # fmt: skip
    return replay_config(PrincipalDQN, PrincipalLearner, settings, plan).training(gamma=settings.discount)

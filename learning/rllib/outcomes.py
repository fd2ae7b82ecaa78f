"""Algorithm 2 as an RLlib DQN: one module with both networks, its runner, its learner. `losses` has the loss."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.dqn.torch.dqn_torch_learner import DQNTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.env import INPUT_ENV_SPACES
from ray.rllib.utils.metrics import TD_ERROR_KEY

from ...contracts.loop import AgentView, Situation, Step
from ...contracts.mechanism import Decisions
from ..exploration import Schedule, epsilon_greedy
from ..losses.algorithm_2 import Transitions, Values, losses
from ..principals.algorithm_2 import Algorithm2 as OutcomeSettings
from ..principals.outcomes import decide, outcome_chance, outcome_networks
from .algorithm import minibatch_batch
from .learner import AveragedTargets, MinibatchLearner
from .recommending import MODULE, PrincipalModule
from .replay_algorithm import ReplayAlgorithm, ReplayPlan, replay_config, replay_plan, td_errors
from .runner import ArrayEnvRunner, ModuleBatch, Rollout

OUTCOME, VALUE, NEXT_CHANCE = "outcome", "value", "next_chance"


class OutcomePlan(ReplayPlan):
    """What `learner_config_dict` tells Algorithm 2."""

    nudge: float
    explore: Schedule


class OutcomeModule(PrincipalModule):
    """The principal's and the agent's networks over classes (n,), and their averages."""

    def setup(self) -> None:
        self.networks = outcome_networks(**self.model_config["shape"])

    def _forward_train(self, batch: ModuleBatch, **kwargs: object) -> ModuleBatch:
        seen_t, seen_tp1 = batch[Columns.OBS], batch[Columns.NEXT_OBS]
        with torch.no_grad():
            agent_tp1_target, principal_tp1_target = (self.target[name](seen_tp1) for name in ("agent", "principal"))
        return Values(
            self.networks["agent"](seen_t), agent_tp1_target, self.networks["principal"](seen_t), principal_tp1_target
        )._asdict()


class OutcomeRunner(ArrayEnvRunner):
    """Plays the principal and an agent that takes the induced action."""

    def make_module(self) -> None:
        super().make_module()
        self.plan: OutcomePlan = self.config.learner_config_dict

    def get_spaces(self) -> dict[str, tuple[gym.Space, gym.Space]]:
        game = self.task.game
        actions: gym.Space = gym.spaces.Discrete(len(game.action_names))
        return dict.fromkeys((INPUT_ENV_SPACES, MODULE), (game.observation_space, actions))

    def act(self, seen: AgentView) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return self.loop.terms.recommended, {}

    def extra_columns(self, step: Step) -> dict[str, np.ndarray]:
        game, moved = self.task.game, step.transition
        return {
            OUTCOME: game.facts(moved.events)[:, 0],
            VALUE: game.principal_reward(moved.events),
            NEXT_CHANCE: outcome_chance(game, moved.next_state),
        }

    def decide(self, situation: Situation) -> Decisions:
        """The induced actions, with exploration, and their payments, by the online networks."""
        game, noise = self.task.game, torch.from_numpy(situation.noise(1)[:, 0])

        def exploring(induced: torch.Tensor) -> torch.Tensor:
            return epsilon_greedy(induced, len(game.action_names), self.plan["explore"], self.progress, noise)

        return decide(self.module[MODULE].networks, game, situation.state, nudge=self.plan["nudge"], explore=exploring)


class OutcomeLearner(MinibatchLearner, AveragedTargets, DQNTorchLearner):
    """The losses of Algorithm 2."""

    def compute_loss_for_module(
        self, *, module_id: str, config: AlgorithmConfig, batch: ModuleBatch, fwd_out: ModuleBatch
    ) -> torch.Tensor:
        values = Values(**{name: fwd_out[name] for name in Values._fields})
        happened = Transitions(
            batch[Columns.ACTIONS], batch[OUTCOME], batch[Columns.REWARDS], batch[VALUE],
            batch[NEXT_CHANCE], batch[Columns.TERMINATEDS],
        )  # fmt: skip
        nudge = self.config.learner_config_dict["nudge"]
        agent, principal, errors = losses(values, happened, discount=config.gamma, nudge=nudge)
        self.metrics.log_value((module_id, TD_ERROR_KEY), errors, reduce="item_series")
        self.metrics.log_dict({"agent_loss": agent, "principal_loss": principal}, key=module_id, window=1)
        return agent + principal


class OutcomeDQN(ReplayAlgorithm):
    """Deep Q-learning of a principal and of its model of an agent with hidden actions."""

    def learn_from(self, drawn: np.ndarray) -> dict[str, float]:
        results = self.update(minibatch_batch({MODULE: self.replay.rows(drawn)}, len(drawn)))
        if self.plan["priority"]:
            self.replay.reprioritise(drawn, td_errors(results, MODULE))
        return {key: float(results[0][MODULE][key].peek()) for key in ("agent_loss", "principal_loss")}

    def transitions(self, rollout: Rollout) -> dict[str, np.ndarray]:
        """Rows (T * B, ...) of the one agent, rewards from the environment alone."""
        columns = {
            Columns.OBS: rollout.observations.astype(np.int64),
            Columns.NEXT_OBS: rollout.next_observations.astype(np.int64),
            Columns.ACTIONS: rollout.actions, Columns.REWARDS: rollout.rewards.astype(np.float32),
            Columns.TERMINATEDS: rollout.terminated.astype(np.float32),
        }  # fmt: skip
        n = rollout.ended.size
        extra = {name: value.reshape(n, *value.shape[2:]) for name, value in rollout.extras.items()}
        return {**{name: column.reshape(n) for name, column in columns.items()}, **extra}


def outcome_config(settings: OutcomeSettings) -> DQNConfig:
    """The RLlib configuration of the settings; `configured` adds the task."""
    plan: OutcomePlan = {
        **replay_plan(settings), "nudge": settings.margin,
        "explore": (settings.epsilon, settings.epsilon_final, settings.exploration_fraction),
    }  # fmt: skip
    return replay_config(OutcomeDQN, OutcomeLearner, settings, plan).training(gamma=settings.discount)

"""Proximal policy optimisation of the agents: RLlib's PPO loss, fed from arrays."""

from __future__ import annotations

import numpy as np
import torch
from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import ValueFunctionAPI
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.rllib.evaluation.postprocessing import Postprocessing

from ...contracts.loop import AgentView
from ..agents.ppo import PPO as PPOSettings
from ..exploration import sampled
from ..features import rows
from ..networks import ActorCritic
from ..returns import advantages
from .algorithm import ArrayAlgorithm, minibatch_batch
from .learner import MinibatchLearner, MinibatchPlan
from .runner import ArrayEnvRunner, ModuleBatch, Rollout


class ActorCriticModule(TorchRLModule, ValueFunctionAPI):
    """An actor and a critic over flat rows."""

    def setup(self) -> None:
        self.net = ActorCritic(**self.model_config["network"])

    def compute_values(self, batch: ModuleBatch, embeddings: torch.Tensor | None = None) -> torch.Tensor:
        return self.net.values_of(self.net.sight(batch[Columns.OBS]) if embeddings is None else embeddings)

    def _forward_exploration(self, batch: ModuleBatch, **kwargs: object) -> ModuleBatch:
        logits = self.net(batch[Columns.OBS])
        logp = logits.log_softmax(dim=-1)
        actions = sampled(logits, batch["noise"])
        return {
            Columns.ACTIONS: actions,
            Columns.ACTION_LOGP: logp.gather(-1, actions.unsqueeze(-1)).squeeze(-1),
            Columns.ACTION_DIST_INPUTS: logits,
        }

    def _forward_train(self, batch: ModuleBatch, **kwargs: object) -> ModuleBatch:
        seen = self.net.sight(batch[Columns.OBS])
        return {Columns.EMBEDDINGS: seen, Columns.ACTION_DIST_INPUTS: self.net.logits_of(seen)}


class ValuedRunner(ArrayEnvRunner):
    """Adds to a rollout the values (T, B, N) of each step's view and of the view after it, before any reset."""

    def _play(self, T: int) -> Rollout:
        rollout = super()._play(T)
        T, B, N = rollout.actions.shape
        flat = AgentView(*(part.reshape(T * B, *part.shape[2:]) for part in (rollout.observations, rollout.terms)))
        values = self._values(flat).reshape(T, B, N)
        following = np.concatenate([values[1:], self._values(self.loop.seen)[None]])
        if rollout.ended.any():
            last = AgentView(rollout.next_observations[rollout.ended], rollout.next_terms[rollout.ended])
            following[rollout.ended] = self._values(last)
        rollout.extras.update({Columns.VF_PREDS: values, "next_values": following})
        return rollout


class ArrayPPOLearner(MinibatchLearner, PPOTorchLearner):
    """RLlib's PPO loss."""


class ArrayPPO(ArrayAlgorithm, PPO):
    """PPO over the rollouts of array runners."""

    def learn(self, rollouts: list[Rollout]) -> dict[str, float]:
        parts = [self._columns(rollout) for rollout in rollouts]
        columns = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        batches = {}
        for name, players in self.task.players.items():
            batch = {key: column.take(players, 1).reshape(-1, *column.shape[2:]) for key, column in columns.items()}
            advantage = batch[Postprocessing.ADVANTAGES]
            batch[Postprocessing.ADVANTAGES] = (advantage - advantage.mean()) / max(1e-4, advantage.std())
            batches[name] = batch
        results = self.update(minibatch_batch(batches, len(columns[Columns.ACTIONS])))
        return {
            f"{name}/{key}": float(results[0][name][key].peek())
            for name in self.task.players
            for key in ("policy_loss", "vf_loss", "entropy")
        }

    def _columns(self, rollout: Rollout) -> dict[str, np.ndarray]:
        """RLlib's columns, (T * B, N, ...)."""
        values, next_values = rollout.extras[Columns.VF_PREDS], rollout.extras["next_values"]
        rewards = rollout.earned.astype(np.float32)
        advantage = advantages(
            rewards, values, next_values, rollout.terminated, rollout.ended, self.config.gamma, self.config.lambda_
        )
        T, B = rollout.ended.shape
        columns = {
            Columns.OBS: rows(AgentView(rollout.observations, rollout.terms)),
            Columns.ACTIONS: rollout.actions,
            Columns.ACTION_LOGP: rollout.extras[Columns.ACTION_LOGP],
            Columns.ACTION_DIST_INPUTS: rollout.extras[Columns.ACTION_DIST_INPUTS],
            Postprocessing.ADVANTAGES: advantage,
            Postprocessing.VALUE_TARGETS: advantage + values,
        }
        return {key: column.reshape(T * B, *column.shape[2:]) for key, column in columns.items()}


def ppo_config(settings: PPOSettings) -> PPOConfig:
    """The RLlib configuration of the settings; `configured` adds the task."""
    plan: MinibatchPlan = {"minibatches": settings.minibatches, "epochs": settings.epochs}
    return (
        PPOConfig(algo_class=ArrayPPO)
        .env_runners(num_envs_per_env_runner=settings.environments, rollout_fragment_length=settings.rollout_length)
        .learners(learner_class=ArrayPPOLearner, learner_config_dict=plan)
        .training(
            gamma=settings.discount, lambda_=settings.gae_lambda, clip_param=settings.clip,
            entropy_coeff=settings.entropy, vf_loss_coeff=0.5, vf_clip_param=float("inf"), use_kl_loss=False,
            minibatch_size=None, grad_clip=0.5, grad_clip_by="global_norm",
        )
    )  # fmt: skip

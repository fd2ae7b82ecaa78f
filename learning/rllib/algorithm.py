"""The RLlib Algorithm that trains the roles of a task: sample arrays, learn, send the weights to the runners."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME, TD_ERROR_KEY
from ray.rllib.utils.metrics.stats import StatsBase
from safetensors.numpy import load_file, save_file

from ...contracts.episodes import Episodes
from ..trained import Batch, Memory, Rollout, Trained
from .learner import PARTS, RLLIB
from .module import roles_of
from .runner import ArrayEnvRunner

TOGETHER = 64  # environment steps
WEIGHTS = "weights.safetensors"

Weights = dict[str, dict[str, np.ndarray]]  # module id: name: array
Told = Mapping[tuple[str, ...], Any]  # by the path of a metric, which begins with the module's id: its value
Results = list[Told]  # a Learner each


class RolesConfig(PPOConfig, DQNConfig):
    """The settings of RLlib's PPO and DQN side by side: each module's role reads those of its own loss."""

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or RolesAlgorithm)
        self.double_q, self.num_atoms, self.td_error_loss_fn = True, 1, "huber"
        self.target_network_update_freq = 1  # here in gradient steps
        self.minibatch_size, self.grad_clip_by = None, "global_norm"
        self.use_kl_loss, self.entropy_coeff = False, 0.0


class RolesAlgorithm(Algorithm):
    """A training step takes a rollout from every runner, lets each role learn, and sends the weights to the runners.

    The schedule is that of the task's phase: where it has generations, agents begin anew after equal parts of the
    budget, and in each only they learn until its `burn_in` is over. Finished episodes are kept until `drain()`; their
    mean welfare is also logged, for Tune.
    """

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """What Tune updates by its parameter space."""
        return RolesConfig()

    def setup(self, config: AlgorithmConfig) -> None:
        super().setup(config)
        self.roles = roles_of(self.config)
        self.task = self.roles.task
        self.memories: list[tuple[Trained, Memory]] = [(role, role.memory(self.task)) for role in self.roles.roles]
        self.steps = 0
        self.training: dict[str, float] = {}
        self._episodes: Episodes | None = None
        self._fresh: Weights = self._agents() if self.task.phase.generations > 1 else {}

    def _create_local_replay_buffer_if_necessary(self, config: AlgorithmConfig) -> None:
        """RLlib's buffers hold episode objects; roles have memories of arrays."""

    def training_step(self) -> None:
        """Short rollouts go together, up to `TOGETHER` environment steps: RLlib takes a millisecond to end a step."""
        begun, self.training = self.steps, {}
        self.turn()
        while self.steps < min(begun + TOGETHER, self.task.steps):
            self.turn()
        self.metrics.log_value((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), self.steps, reduce="max")

    def turn(self) -> None:
        """A rollout of every runner, from which each role learns."""
        remote = self.env_runner_group.num_remote_env_runners() > 0
        sampled = self.env_runner_group.foreach_env_runner(_sample, local_env_runner=not remote)
        rollouts = [_given(each) for each in sampled]
        for rollout in rollouts:
            self.steps += rollout.ended.size
            if rollout.episodes is not None:
                self._keep(rollout.episodes, len(rollouts))
        self._moved = False
        self.training |= self.learn(rollouts)
        if self._moved:
            self._send_weights(remote)

    def learn(self, rollouts: list[Rollout]) -> dict[str, float]:
        """Let each role learn from rollouts; returns what is recorded of their losses."""
        recorded: dict[str, float] = {}
        for role, memory in self.memories:
            if role.plays not in self.task.phase.learns or (role.plays == "principal" and self._only_agents_learn()):
                memory.forget()
                continue
            batch = memory.add(rollouts, self.steps, self.env_runner.nets)
            if batch is not None:
                recorded |= self._learned(role, memory, batch)
            if role.plays == "agents" and self._begins(sum(rollout.ended.size for rollout in rollouts)):
                memory.forget()
                self.learner_group.set_state({COMPONENT_LEARNER: {COMPONENT_RL_MODULE: self._fresh}})
                self._moved = True
        return recorded

    def _learned(self, role: Trained, memory: Memory, batch: Batch) -> dict[str, float]:
        """One call of the Learners on a batch: many gradient steps."""
        if self.learner_group.is_local:
            results: Results = [self.learner_group._learner.learn(batch.columns, self.steps).told()]
        else:  # RLlib's batch is of module id: column: (n, ...)
            made = MultiAgentBatch({name: SampleBatch(part) for name, part in batch.columns.items()}, batch.steps)
            timesteps = {NUM_ENV_STEPS_SAMPLED_LIFETIME: self.steps}
            results = [_told(each) for each in self.learner_group.update(batch=made, timesteps=timesteps)]
        if memory.takes_errors:
            memory.learned({name: errors for name in batch.columns for errors in _errors(results, name)})
        self._moved = True
        return {f"{name}/{part}": value for name in batch.columns for part, value in _parts(role, results, name)}

    def _only_agents_learn(self) -> bool:
        """Whether a generation has just begun."""
        phase, generation = self.task.phase, self.task.steps / self.task.phase.generations
        return self.steps % generation <= phase.burn_in * generation and self.steps < self.task.steps

    def _begins(self, played: int) -> bool:
        """Whether a generation began in the last steps `played`: agents then return to their first weights."""
        generation = self.task.steps / self.task.phase.generations
        return self.steps // generation > (self.steps - played) // generation and self.steps < self.task.steps

    def _agents(self) -> Weights:
        agents = [name for name, role in self.roles.role_of.items() if role.plays == "agents"]
        return {name: state for name, state in self.weights().items() if name in agents}

    def drain(self) -> Episodes | None:
        """The episodes that finished since the last call."""
        episodes, self._episodes = self._episodes, None
        return episodes

    def weights(self) -> Weights:
        """The modules' states, averaged targets included."""
        state = self.learner_group.get_state(components=f"{COMPONENT_LEARNER}/{COMPONENT_RL_MODULE}")
        return state[COMPONENT_LEARNER][COMPONENT_RL_MODULE]

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """The modules' weights as safetensors, for Tune. RLlib's own are pickles, which run code when they are read."""
        tensors = {f"{name}/{key}": value for name, state in self.weights().items() for key, value in state.items()}
        save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, Path(checkpoint_dir) / WEIGHTS)

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on from the weights that `save_checkpoint` wrote, with fresh optimisers and replay."""
        weights: Weights = {}
        for name, value in load_file(Path(checkpoint_dir) / WEIGHTS).items():
            module_id, _, key = name.partition("/")
            weights.setdefault(module_id, {})[key] = value
        self.go_on_from(weights)

    def go_on_from(self, weights: Weights) -> None:
        """Give the modules, here and at the runners, the states that `weights()` gave."""
        self.learner_group.set_state({COMPONENT_LEARNER: {COMPONENT_RL_MODULE: weights}})
        self._send_weights(self.env_runner_group.num_remote_env_runners() > 0)

    def _keep(self, episodes: Episodes, runners: int) -> None:
        episodes = episodes.replace(steps=episodes.steps * runners)  # runners go in step
        self._episodes = episodes if self._episodes is None else self._episodes + episodes
        self.metrics.log_value((ENV_RUNNER_RESULTS, "welfare"), float(episodes.returns.sum(axis=1).mean()), window=20)

    def _send_weights(self, remote: bool) -> None:
        if remote or self.learner_group.is_remote:
            self.env_runner_group.sync_weights(
                from_worker_or_learner_group=self.learner_group, inference_only=True, timeout_seconds=None
            )
            return
        with torch.no_grad():  # one process: a copy, not a message
            torch._foreach_copy_(*self._copied)

    @cached_property
    def _copied(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The tensors with which the one runner acts, and those of the one Learner."""
        learner, acting, learned = self.learner_group._learner.module, [], []
        for name in learner.keys():  # noqa: SIM118 (it is no dict: nothing else goes through its modules)
            for kind in ("parameters", "buffers"):
                acting += getattr(self.env_runner.module[name].net, kind)()
                learned += getattr(learner[name].unwrapped().net, kind)()
        return acting, learned


def _sample(runner: ArrayEnvRunner) -> Rollout | Exception:
    """A rollout, or the error that ended it: RLlib would end a remote runner, and the error with it."""
    try:
        return runner.sample()
    except Exception as error:
        if runner.worker_index:  # a traceback itself does not reach other processes
            error.add_note("".join(traceback.format_exception(error)))
        return error


def _given(sampled: Rollout | Exception) -> Rollout:
    if isinstance(sampled, Exception):
        raise sampled
    return sampled


def _told(result: Mapping[str, Any]) -> Told:
    """What a remote Learner logged."""
    found: dict[tuple[str, ...], Any] = {}
    for key, value in result.items():
        if isinstance(value, StatsBase):
            found[key,] = value.peek()
        else:
            found |= {(key, *path): each for path, each in _told(value).items()}
    return found


def _parts(role: Trained, results: Results, module_id: str) -> Iterator[tuple[str, float]]:
    """What is recorded of a module's loss, by name."""
    if role.rllib_loss:
        return ((name, float(results[0][module_id, name])) for name in RLLIB[role.rllib_loss][2])
    own = (module_id, PARTS)
    return ((key[-1], float(value)) for key, value in results[0].items() if key[:2] == own)


def _errors(results: Results, module_id: str) -> list[np.ndarray]:
    """The errors (n,) of every row of an update, in the rows' order, where the loss gave any.

    Learners hold consecutive parts of it.
    """
    key = (module_id, TD_ERROR_KEY)
    if key not in results[0]:
        return []
    return [np.concatenate([np.ravel(part) for told in results for part in told[key]]).astype(np.float64)]

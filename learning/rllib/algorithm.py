"""The base of the RLlib Algorithms here: sample arrays, learn from them, send the weights to the runners."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import ray
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME
from ray.rllib.utils.metrics.stats import StatsBase
from ray.util.debug import log_once
from safetensors.numpy import load_file, save_file

from ...contracts.episodes import Episodes
from ..settings import Resources
from .allocator import keep_large_blocks
from .runner import ArrayEnvRunner, Rollout, Task

ALONE = Resources()
WEIGHTS = "weights.safetensors"

Weights = dict[str, dict[str, np.ndarray]]  # module id: name: array
Results = list[dict[str, dict[str, StatsBase]]]  # a Learner each, by module id and name of the metric


class ArrayAlgorithm(Algorithm):
    """A training step takes a rollout from every runner, calls `learn`, and sends the weights to the runners.

    Subclasses implement `learn`. Finished episodes are kept until `drain()`; their mean welfare is also logged, for
    Tune.
    """

    task: Task

    def setup(self, config: AlgorithmConfig) -> None:
        super().setup(config)
        self.task = self.config.env_config["task"]
        self.steps = 0
        self.training: dict[str, float] = {}
        self._episodes: Episodes | None = None

    def _create_local_replay_buffer_if_necessary(self, config: AlgorithmConfig) -> None:
        """RLlib's buffers hold episode objects; `ReplayAlgorithm` has a buffer of arrays."""

    def learn(self, rollouts: list[Rollout]) -> dict[str, float]:
        """Update the modules from rollouts; returns the training metrics."""
        raise NotImplementedError

    def training_step(self) -> None:
        remote = self.env_runner_group.num_remote_env_runners() > 0
        rollouts: list[Rollout] = self.env_runner_group.foreach_env_runner(_sample, local_env_runner=not remote)
        for rollout in rollouts:
            self.steps += rollout.ended.size
            if rollout.episodes is not None:
                self._keep(rollout.episodes, len(rollouts))
        self.metrics.log_value((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), self.steps, reduce="max")
        self.training = self.learn(rollouts)
        if self.training:
            self._send_weights(remote)

    def update(self, batch: MultiAgentBatch) -> Results:
        """One call of the learners: many gradient steps."""
        return self.learner_group.update(batch=batch, timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self.steps})

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
        learner = self.learner_group._learner.module  # one process: a copy, not a message
        for name in learner.keys():  # noqa: SIM118 (it is no dict: nothing else goes through its modules)
            self.env_runner.module[name].load_state_dict(learner[name].state_dict(), strict=False)


def _sample(runner: ArrayEnvRunner) -> Rollout:
    return runner.sample()


def minibatch_batch(columns: dict[str, dict[str, np.ndarray]], steps: int) -> MultiAgentBatch:
    """RLlib's batch of module id: column: (n, ...), which holds `steps` environment steps."""
    return MultiAgentBatch({name: SampleBatch(part) for name, part in columns.items()}, steps)


def configured(
    config: AlgorithmConfig,
    task: Task,
    module_class: type,
    model_config: Mapping[str, object],
    lr: tuple[float, float],
    *,
    seed: int,
    resources: Resources,
    runner_class: type[ArrayEnvRunner] = ArrayEnvRunner,
) -> AlgorithmConfig:
    """`config` for a task: array runners, a module for each player, a rate that falls from `lr[0]` to `lr[1]`."""
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    keep_large_blocks()
    for kind in config.algo_class.mro():
        log_once(f"{kind.__name__}_on_new_api_stack")  # RLlib would tell every user of it
    there = ray.cluster_resources()
    resources.check(int(there.get("CPU", 0)), int(there.get("GPU", 0)))
    spec = RLModuleSpec(module_class=module_class, model_config=dict(model_config))
    sampled = config.num_envs_per_env_runner * config.rollout_fragment_length * max(1, resources.runners)
    config._dont_auto_sync_env_runner_states = True  # there are no connectors: `training_step` sends what is needed
    return (
        config.environment(env=None, env_config={"task": task})
        .framework("torch", torch_skip_nan_gradients=True)  # leaves out RLlib's check of every gradient, for speed
        .env_runners(env_runner_cls=runner_class, num_env_runners=resources.runners)
        .fault_tolerance(restart_failed_env_runners=False)  # a new one would play the first episodes again
        .learners(num_learners=resources.learners, num_gpus_per_learner=int(resources.gpu))
        .multi_agent(policies=tuple(task.players), policy_mapping_fn=lambda agent, *_: agent)
        .rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=dict.fromkeys(task.players, spec)))
        .training(
            lr=[[0, lr[0]], [task.steps, lr[1]]],
            train_batch_size_per_learner=sampled // max(1, resources.learners),  # RLlib checks it against the rollouts
        )
        .reporting(min_time_s_per_iteration=None, min_sample_timesteps_per_iteration=0)
        .debugging(seed=seed, log_level="ERROR")
    )

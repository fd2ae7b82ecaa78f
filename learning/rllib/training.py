"""The door to RLlib: the configuration of what trains roles, and its training as progress and a result."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import numpy as np
import ray
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.util.debug import log_once

from ...core.checkpoint import Saved
from ...core.config import UsageError
from ...core.stopping import keeps_sigterm
from ..agents.policy import Policy
from ..role import Task, Update
from ..trained import Tensors, Trained
from .algorithm import RolesAlgorithm, RolesConfig, Weights
from .allocator import keep_large_blocks, long_lived
from .learner import RoleLearner
from .module import RoleModule, Roles
from .runner import ArrayEnvRunner


def train(role: Trained, task: Task) -> Generator[Update, None, Saved]:
    """Train a role, and those that learn with it, for the task's environment steps; what it learned, frozen."""
    task = role.prepared(task)
    algorithm: RolesAlgorithm = configuration_of(role, task).build_algo()
    try:
        if task.begin is not None:
            algorithm.go_on_from(begun(algorithm.weights(), task.begin))
        with long_lived():
            while algorithm.steps < task.steps:
                algorithm.step()  # `train` copies the whole configuration every time
                yield Update(algorithm.steps, task.steps, algorithm.drain(), algorithm.training)
        weights, modules = algorithm.weights(), role.modules(task.game)
        prefix = "target." if role.averaged and role.plays == "principal" else "net."
        return role.frozen({name: tensors(weights[name], prefix) for name in modules}, task)
    finally:
        algorithm.stop()


def configuration_of(role: Trained, task: Task) -> AlgorithmConfig:
    """RLlib's configuration of what trains a role; `task` is as the role prepared it.

    Each role's settings hold for its modules. Raises UsageError for more remote actors than Ray has cores.
    """
    resources, roles = task.resources, Roles(task, role.roles())
    _start_ray(roles)
    first, *further = roles.roles
    specs = {
        name: RLModuleSpec(module_class=RoleModule, model_config={"role": each, "task": task})
        for name, each in roles.role_of.items()
    }
    own = {name: RolesConfig.overrides(**each.training(task)) for each in further for name in each.modules(task.game)}
    environments, length = (role if role.plays == "agents" else first).rollout_shape
    sampled = environments * length * max(1, resources.runners)
    config = RolesConfig()
    config._dont_auto_sync_env_runner_states = True  # there are no connectors: `training_step` sends what is needed
    return (
        config.environment(env=None, env_config={"roles": roles})
        .framework("torch", torch_skip_nan_gradients=True)  # leaves out RLlib's check of every gradient, for speed
        .env_runners(
            env_runner_cls=ArrayEnvRunner, num_env_runners=resources.runners,
            num_envs_per_env_runner=environments, rollout_fragment_length=length,
        )
        .fault_tolerance(restart_failed_env_runners=False)  # a new one would play the first episodes again
        .learners(
            learner_class=RoleLearner, num_learners=resources.learners, num_gpus_per_learner=int(resources.gpu)
        )
        .multi_agent(
            policies=tuple(specs), policy_mapping_fn=lambda agent, *_: agent,
            algorithm_config_overrides_per_module=own,
        )
        .rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
        .training(
            **first.training(task),
            train_batch_size_per_learner=sampled // max(1, resources.learners),  # RLlib checks it against the rollouts
        )
        .reporting(min_time_s_per_iteration=None, min_sample_timesteps_per_iteration=0)
        .debugging(seed=task.seed, log_level="ERROR")
    )  # fmt: skip


def _start_ray(roles: Roles) -> None:
    """Start Ray where it does not run, and keep this process's memory from being returned and mapped anew.

    Raises UsageError where Ray has not the resources that the task asks for, or a loss needs fewer.
    """
    if not ray.is_initialized():
        with keeps_sigterm():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    keep_large_blocks()
    for kind in RolesAlgorithm.mro():
        log_once(f"{kind.__name__}_on_new_api_stack")  # RLlib would tell every user of it
    there, resources = ray.cluster_resources(), roles.task.resources
    resources.check(int(there.get("CPU", 0)), int(there.get("GPU", 0)))
    if resources.learners > 1 and any(role.sees_peers for role in roles.roles):
        raise UsageError(f"a loss that sees its peers needs one Learner (got {resources.learners}): leave learners out")


def begun(weights: Weights, begin: Saved) -> Weights:
    """The modules' states with every network, averaged targets included, taken from the policy `begin`.

    Raises UsageError where it has other networks than theirs, or none.
    """
    if not isinstance(begin, Policy):
        raise UsageError(f"agents cannot begin with a {type(begin).__name__}, which has no networks; leave it out")
    given = {name: begin.networks[name].state_dict() for name in begin.networks}
    made: Weights = {name: {} for name in weights}
    for name, state in weights.items():
        for key, value in state.items():
            tensor = given.get(name, {}).get(key.partition(".")[2])
            if tensor is None or tensor.shape != value.shape:
                raise UsageError(
                    f"agents cannot begin with a policy of other networks than theirs: {name} has no {key} of shape "
                    f"{tuple(value.shape)} there; give both the same game, algorithm, policies, encoder and hidden"
                )
            made[name][key] = tensor.numpy()
    return made


def tensors(state: Mapping[str, np.ndarray], prefix: str) -> Tensors:
    """The part of a module's state whose names begin with `prefix`, without it."""
    return {key.removeprefix(prefix): torch.as_tensor(v) for key, v in state.items() if key.startswith(prefix)}

"""RLlib's Algorithms as phases: progress while they train, and what they learned at their end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from ...core.checkpoint import Saved
from ...core.config import UsageError
from ..agents.policy import Policy
from ..role import Update
from .algorithm import ArrayAlgorithm, Weights
from .recommending import MODULE

T = TypeVar("T")


def updates(
    config: AlgorithmConfig,
    total: int,
    result: Callable[[ArrayAlgorithm], T],
    begin: Callable[[Weights], Weights] | None = None,
) -> Generator[Update, None, T]:
    """Train the algorithm for `total` environment steps, and return its `result`."""
    algorithm = config.build_algo()
    try:
        if begin is not None:
            algorithm.go_on_from(begin(algorithm.weights()))
        while algorithm.steps < total:
            algorithm.train()
            yield Update(algorithm.steps, total, algorithm.drain(), algorithm.training)
        return result(algorithm)
    finally:
        algorithm.stop()


def begun(begin: Saved | None) -> Callable[[Weights], Weights] | None:
    """What gives modules the networks of the policy `begin`, averaged targets included.

    Raises UsageError where it has other networks than theirs, or none.
    """
    if begin is None:
        return None
    if not isinstance(begin, Policy):
        raise UsageError(f"agents cannot begin with a {type(begin).__name__}, which has no networks; leave it out")
    given = {name: begin.networks[name].state_dict() for name in begin.networks}

    def taken(weights: Weights) -> Weights:
        made: Weights = {name: {} for name in weights}
        for name, state in weights.items():
            for key, value in state.items():
                tensor = given.get(name, {}).get(key.partition(".")[2])
                if tensor is None or tensor.shape != value.shape:
                    raise UsageError(
                        f"agents cannot begin with a policy of other networks than theirs: {name} has no {key} of "
                        f"shape {tuple(value.shape)} there; give both the same game, algorithm, policies, encoder "
                        "and hidden"
                    )
                made[name][key] = tensor.numpy()
        return made

    return taken


def averaged(algorithm, principal):
    """`principal` with the averaged networks, which vary less than the online ones."""
    principal.networks.load_state_dict(tensors(algorithm.weights()[MODULE], "target."))
    return principal


def learned(algorithm: ArrayAlgorithm, policy: Policy) -> Policy:
    """`policy` with the current networks."""
    for name, state in algorithm.weights().items():
        policy.networks[name].load_state_dict(tensors(state, "net."))
    return policy


def tensors(state: dict[str, np.ndarray], prefix: str) -> dict[str, torch.Tensor]:
    """The part of a module's state whose names begin with `prefix`, without it."""
    return {key.removeprefix(prefix): torch.as_tensor(v) for key, v in state.items() if key.startswith(prefix)}

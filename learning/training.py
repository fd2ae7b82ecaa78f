"""How fast PPO trains through the array runner, against RLlib's own PPO on the same game, network and threads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME

from ..baselines import make_mechanism
from ..envs.core import Game
from .phases import agents_config
from .sampling import stock_config
from .settings import PPOSettings

HIDDEN = ((256, 256), (64, 64))
STOCK_ENVIRONMENTS = (16, 64)  # the faster of them counts
ROUNDS, SECONDS = 3, 2.0  # the contenders take turns, so a change of the machine's speed meets them all alike


class TrainingRate(NamedTuple):
    """Environment steps a second from sampling to the last gradient step; the median of the rounds."""

    hidden: tuple[int, ...]
    learner: str
    environments: int
    steps_per_second: float
    times: float  # the fastest of RLlib's on the same network


def training(game: Game, *, threads: int = 1, hidden: tuple[tuple[int, ...], ...] = HIDDEN) -> Iterator[TrainingRate]:
    """RLlib's PPO and the array one, in one process each: as many samples, epochs and rows in a minibatch for both."""
    torch.set_num_threads(threads)
    for widths in hidden:
        settings = PPOSettings(hidden=widths)
        array = _array(game, settings)
        contenders = [("RLlib", B, _stock(game, settings, B)) for B in STOCK_ENVIRONMENTS]
        contenders.append(("array", settings.environments, array))
        rates = _rates([algorithm for _, _, algorithm in contenders])
        base = max(rates[: len(STOCK_ENVIRONMENTS)])
        for (learner, B, algorithm), rate in zip(contenders, rates, strict=True):
            algorithm.stop()
            yield TrainingRate(widths, learner, B, rate, rate / base)


def _rates(algorithms: list[Algorithm]) -> list[float]:
    measured: list[list[float]] = [[] for _ in algorithms]
    steps = [_trained(algorithm) for algorithm in algorithms]  # the first iteration compiles and allocates
    for _ in range(ROUNDS):
        for index, algorithm in enumerate(algorithms):
            began, before = time.perf_counter(), steps[index]
            while time.perf_counter() - began < SECONDS:
                steps[index] = _trained(algorithm)
            measured[index].append((steps[index] - before) / (time.perf_counter() - began))
    return [sorted(each)[ROUNDS // 2] for each in measured]


def _trained(algorithm: Algorithm) -> int:
    """One iteration; the environment steps of all so far."""
    return int(algorithm.train()[ENV_RUNNER_RESULTS][NUM_ENV_STEPS_SAMPLED_LIFETIME])


def _array(game: Game, settings: PPOSettings) -> Algorithm:
    config = agents_config(game, make_mechanism("selfish", game), None, settings, seed=0, steps=10**9)
    return config.build_algo()


def _stock(game: Game, settings: PPOSettings, environments: int) -> Algorithm:
    samples = settings.environments * settings.fragment
    plan: dict[str, Any] = {
        "train_batch_size_per_learner": samples, "num_epochs": settings.epochs,
        "minibatch_size": samples * len(game.agents) // settings.minibatches,  # in rows, of which each agent has one
    }  # fmt: skip
    config = stock_config(game, settings.hidden, environments).training(
        **plan, lr=settings.lr, gamma=settings.discount, lambda_=settings.gae_lambda, clip_param=settings.clip,
        entropy_coeff=settings.entropy, vf_loss_coeff=0.5, vf_clip_param=float("inf"), use_kl_loss=False,
        grad_clip=0.5, grad_clip_by="global_norm",
    )  # fmt: skip
    return config.build_algo()

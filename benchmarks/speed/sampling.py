"""How fast the array runner samples, against RLlib's own runner on the same game, network and threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import ray
import torch
from ray import tune
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner

from ...baselines import make_mechanism
from ...envs.game import Game
from ...learning.agents.ppo import PPO
from ...learning.phases import agents_config
from ...learning.rllib.runner import ArrayEnvRunner
from .rllib_env import rllib_env

STOCK_ENVIRONMENTS = 16
SIZES = (16, 64, 1024)
ROUNDS, SECONDS = 3, 2.0  # the runners take turns, so a change of the machine's speed meets them all alike


class Contender(NamedTuple):
    """One way to sample."""

    runner: str
    environments: int
    sample: Callable[[], int]  # plays some steps, and returns how many


class Rate(NamedTuple):
    """Environment steps a second of one runner, policy included; the median of the rounds."""

    runner: str
    environments: int
    steps_per_second: float


def sampling(game: Game, *, threads: int = 1) -> Iterator[Rate]:
    """RLlib's runner with 16 environments, then the array runner with 16, 64 and 1024."""
    torch.set_num_threads(threads)
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    stock = _stock(game)
    arrays = {B: _array(game, B) for B in SIZES}
    contenders = [
        Contender("RLlib", STOCK_ENVIRONMENTS, lambda: sum(len(part) for part in stock.sample(num_timesteps=400))),
        *(Contender("array", B, _sampler(runner)) for B, runner in arrays.items()),
    ]
    for contender in contenders:
        contender.sample()
    rates: dict[Contender, list[float]] = {contender: [] for contender in contenders}
    for _ in range(ROUNDS):
        for contender in contenders:
            rates[contender].append(_rate(contender.sample))
    for contender, measured in rates.items():
        yield Rate(contender.runner, contender.environments, sorted(measured)[ROUNDS // 2])


def _rate(sample: Callable[[], int]) -> float:
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        steps += sample()
    return steps / (time.perf_counter() - began)


def _sampler(runner: ArrayEnvRunner) -> Callable[[], int]:
    return lambda: runner.sample().ended.size


def _array(game: Game, B: int) -> ArrayEnvRunner:
    settings = PPO(environments=B, rollout_length=32)
    config = agents_config(game, make_mechanism("selfish", game), None, settings, seed=0, steps=10**9)
    return config.env_runner_cls(config=config, worker_index=0)


def _stock(game: Game) -> MultiAgentEnvRunner:
    return stock_config(game, PPO().hidden, STOCK_ENVIRONMENTS).build_algo().env_runner


def stock_config(game: Game, hidden: Sequence[int], environments: int) -> PPOConfig:
    """RLlib's own PPO of the selfish agents of a game, which share one policy, in the process that builds it."""
    tune.register_env("paymaster-stock", lambda _: rllib_env(game))
    return (
        PPOConfig()
        .environment("paymaster-stock")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=environments)
        .multi_agent(policies={"agents"}, policy_mapping_fn=lambda *_: "agents")
        .rl_module(
            model_config=DefaultModelConfig(fcnet_hiddens=list(hidden), fcnet_activation="relu", vf_share_layers=False)
        )
        .debugging(seed=0, log_level="ERROR")
    )

"""How fast PPO trains through the array runner, against RLlib's own PPO on the same game, network and thread.

Both learn from as many environment steps in an iteration, by as many gradient steps, of as many of the agents' rows,
with the same loss, optimiser and clipping, in one process. The rest is what is compared: how the steps are played and
how they reach the loss.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME

from ...baselines import make_mechanism
from ...envs.game import Game
from ...learning.agents.ppo import PPO
from ...learning.phases import agents_config
from .sampling import stock_config

HIDDEN = ((256, 256), (64, 64))
STOCK_ENVIRONMENTS = (16, 64)  # the faster of them counts
ROUNDS, SECONDS = 3, 2.0  # the contenders take turns, so a change of the machine's speed meets them all alike
TURNS = len(HIDDEN) * (len(STOCK_ENVIRONMENTS) + 1) * ROUNDS
STOCK = "RLlib"


class Contender(NamedTuple):
    """One way to train; environments go side by side."""

    hidden: tuple[int, ...]
    learner: str
    environments: int


class Turn(NamedTuple):
    """What was measured of a contender at one time: environment steps a second, gradient steps included."""

    contender: Contender
    steps_per_second: float


class TrainingRate(NamedTuple):
    """What was measured of a contender in all: the median of its turns."""

    hidden: tuple[int, ...]
    learner: str
    environments: int
    steps_per_second: float
    times: float  # the fastest of RLlib's on the same network


def training(game: Game) -> Iterator[Turn]:
    """RLlib's PPO and the array one turn by turn, `TURNS` in all; one thread each."""
    torch.set_num_threads(1)
    for hidden in HIDDEN:
        contenders = algorithms(game, PPO(hidden=hidden))
        steps = {contender: _trained(algorithm) for contender, algorithm in contenders.items()}  # compiles, allocates
        for _ in range(ROUNDS):
            for contender, algorithm in contenders.items():
                began, before = time.perf_counter(), steps[contender]
                while steps[contender] == before or time.perf_counter() - began < SECONDS:
                    steps[contender] = _trained(algorithm)
                yield Turn(contender, (steps[contender] - before) / (time.perf_counter() - began))
        for algorithm in contenders.values():
            algorithm.stop()


def training_rates(turns: Iterable[Turn]) -> list[TrainingRate]:
    """The median of each contender's turns, against the fastest of RLlib's on the same network."""
    measured: dict[Contender, list[float]] = {}
    for contender, rate in turns:
        measured.setdefault(contender, []).append(rate)
    medians = {contender: sorted(rates)[len(rates) // 2] for contender, rates in measured.items()}
    base: dict[tuple[int, ...], float] = {}
    for contender, rate in medians.items():
        if contender.learner == STOCK:
            base[contender.hidden] = max(rate, base.get(contender.hidden, 0.0))
    return [TrainingRate(*contender, rate, rate / base[contender.hidden]) for contender, rate in medians.items()]


def algorithms(game: Game, settings: PPO) -> dict[Contender, Algorithm]:
    """RLlib's PPO with each of `STOCK_ENVIRONMENTS`, and the array one, of the game's selfish agents."""
    array = agents_config(game, make_mechanism("selfish", game), None, settings, seed=0, steps=10**9).build_algo()
    stock = {Contender(settings.hidden, STOCK, B): _stock(game, settings, B) for B in STOCK_ENVIRONMENTS}
    return {**stock, Contender(settings.hidden, "array", settings.environments): array}


def _trained(algorithm: Algorithm) -> int:
    """One iteration; the environment steps of all so far."""
    return int(algorithm.train()[ENV_RUNNER_RESULTS][NUM_ENV_STEPS_SAMPLED_LIFETIME])


def _stock(game: Game, settings: PPO, environments: int) -> Algorithm:
    samples = settings.environments * settings.rollout_length
    config = stock_config(game, settings.hidden, environments).training(
        train_batch_size_per_learner=samples, num_epochs=settings.epochs,
        minibatch_size=_minibatch_rows(game, samples, environments, settings.minibatches),
        lr=settings.lr, gamma=settings.discount, lambda_=settings.gae_lambda, clip_param=settings.clip,
        entropy_coeff=settings.entropy, vf_loss_coeff=0.5, vf_clip_param=float("inf"), use_kl_loss=False,
        grad_clip=0.5, grad_clip_by="global_norm",
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*already in registry")  # RLlib's own name, for its second runner
        return config.build_algo()


def _minibatch_rows(game: Game, samples: int, environments: int, minibatches: int) -> int:
    """RLlib's `minibatch_size`, with which a pass over `samples` environment steps takes `minibatches` gradient steps.

    RLlib counts rows: one for each agent and step, and a masked one at the end of each piece of an episode, to
    bootstrap from. With too few in a minibatch it would take a gradient step more to be through.
    """
    pieces = environments * (1 + -(-samples // (environments * game.horizon)))
    return -(-(samples + pieces) * len(game.agents) // minibatches)

"""`paymaster speed`: rates and ratios measured in one run, on the machine at hand."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import numpy as np

from ...core.arrays import where
from ...core.config import require
from ...core.random import episode_keys
from ...envs import make
from ...envs.game import Game
from ..provenance import provenance
from ..reports.text_table import columns
from ..runs.progress import counted
from ..specs.overrides import parse_settings

STEPPED = (1, 64, 1024)  # environments side by side
ROUNDS, SECONDS = 3, 1.0  # the sizes take turns, so a change of the machine's speed meets them all alike
DRAWN = 256  # vector steps of random actions, drawn beforehand and played again and again


def speed(id: str, settings: list[str], *, as_json: bool) -> str:
    """How fast the game `id` steps and is sampled, and how many times faster than by RLlib's own runner.

    Raises UsageError for an unknown game or rule.
    """
    require("torch", "ray", what="the comparison with RLlib")
    from .sampling import sampling

    rules = parse_settings(settings)
    game = make(id, **rules)
    stepped, sampled = stepping(game), list(sampling(game))
    base = sampled[0].steps_per_second
    if as_json:
        rows = [{**rate._asdict(), "times": rate.steps_per_second / base} for rate in sampled]
        steps = [{"environments": B, "steps_per_second": rate} for B, rate in stepped.items()]
        return json.dumps({"game": id, "rules": rules, "stepping": steps, "sampling": rows}, indent=1)
    steps_body = [[str(B), f"{rate:,.0f}"] for B, rate in stepped.items()]
    body = [
        [rate.runner, str(rate.environments), f"{rate.steps_per_second:,.0f}", f"{rate.steps_per_second / base:.1f}"]
        for rate in sampled
    ]
    return "\n\n".join(
        [
            f"{id}, stepping with observations and random actions, one thread",
            columns([["environments", "steps a second"], *steps_body]),
            "Sampling, policy included, one thread",
            columns([["runner", "environments", "steps a second", "times RLlib's"], *body]),
        ]
    )


def training_speed(id: str, settings: list[str], *, as_json: bool) -> str:
    """How fast PPO trains on the game `id`, against RLlib's own PPO, and where the time of each algorithm goes.

    Raises UsageError for an unknown game or rule.
    """
    require("torch", "ray", what="the comparison with RLlib")
    from . import breakdown, training

    rules = parse_settings(settings)
    game = make(id, **rules)
    rates = training.training_rates(counted(training.training(game), training.TURNS, "turns against RLlib"))
    turns = breakdown.ROUNDS * len(breakdown.learners(game))
    spent = breakdown.breakdowns(counted(breakdown.breakdown(game), turns, "turns of each algorithm"))
    if as_json:
        told = {"training": [each._asdict() for each in rates], "breakdown": [each._asdict() for each in spent]}
        return json.dumps({"game": id, "rules": rules, **told, **provenance()}, indent=1)
    body = [
        [_layers(rate.hidden), rate.learner, str(rate.environments), f"{rate.steps_per_second:,.0f}",
         f"{rate.times:.1f}"]
        for rate in rates
    ]  # fmt: skip
    head = ["network", "PPO", "environments", "steps a second", "times RLlib's"]
    parts = list(spent[0].shares)
    shares = [
        [each.algorithm, _layers(each.hidden), f"{each.steps_per_second:,.0f}", f"{each.updates_per_second:,.0f}",
         *(f"{each.shares[part]:.0%}" for part in parts)]
        for each in spent
    ]  # fmt: skip
    return "\n\n".join([
        f"{id}, PPO from sampling to the last gradient step, one thread", columns([head, *body]),
        "Where the time of each algorithm goes, at its default settings but for PPO's network",
        columns([["algorithm", "network", "steps a second", "updates a second", *parts], *shares]),
    ])  # fmt: skip


def _layers(hidden: Sequence[int]) -> str:
    return "x".join(map(str, hidden))


def stepping(game: Game) -> dict[int, float]:
    """Environment steps a second, resets included, for each of `STEPPED`: the median of the rounds."""
    players = {B: _Player(game, B) for B in STEPPED}
    rates: dict[int, list[float]] = {B: [] for B in STEPPED}
    for _ in range(ROUNDS):
        for B, player in players.items():
            rates[B].append(player.rate(SECONDS))
    return {B: sorted(measured)[ROUNDS // 2] for B, measured in rates.items()}


class _Player:
    """`B` environments under random actions."""

    def __init__(self, game: Game, B: int) -> None:
        self.game, self.B = game, B
        drawn = np.random.default_rng(0).integers(0, len(game.action_names), (DRAWN, B, len(game.agents)))
        self.actions = list(drawn)
        self.episode, self.played = 0, 0
        self.state: object = None
        self.play(DRAWN)  # compiles what is not compiled yet

    def play(self, steps: int) -> None:
        game = self.game
        for _ in range(steps):
            if self.played % game.horizon == 0:
                self.state = self._begun()
            self.state, events = game.step(self.state, self.actions[self.played % DRAWN])
            game.rewards(events)
            game.observe(self.state)
            self.played += 1
            ended = game.terminated(self.state)
            if ended.any():
                self.state = where(ended, self._begun(), self.state)

    def _begun(self) -> object:
        self.episode += 1
        places = np.arange(self.B)
        return self.game.reset(episode_keys(0, 0, places, np.full_like(places, self.episode)))

    def rate(self, seconds: float) -> float:
        began, steps, chunk = time.perf_counter(), 0, max(1, 4096 // self.B)
        while time.perf_counter() - began < seconds:
            self.play(chunk)
            steps += chunk * self.B
        return steps / (time.perf_counter() - began)

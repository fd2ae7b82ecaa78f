"""Where the time of training goes, for each algorithm that takes gradient steps: play, networks, optimiser, the rest.

A share is measured by clocks around the methods of an algorithm's one runner and one Learner, in one process.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import torch

from ...baselines import make_mechanism
from ...core.config import UsageError
from ...envs.game import Game
from ...learning.agents.dqn import DQN
from ...learning.agents.ppo import PPO
from ...learning.principals.algorithm_3 import Algorithm3
from ...learning.rllib.algorithm import RolesAlgorithm
from ...learning.rllib.allocator import long_lived
from ...learning.rllib.training import configuration_of
from ...learning.role import TRAIN, VALIDATE, Task
from ...learning.trained import Trained

ROUNDS, SECONDS = 3, 2.0  # the algorithms take turns, so a change of the machine's speed meets them all alike
PLAY, NETWORKS, OPTIMISER, REST = "play", "networks", "optimiser", "rest"
BUDGET = 10**9  # environment steps: more than are taken, so that schedules stand still


class Spent(NamedTuple):
    """What an algorithm did in one turn."""

    algorithm: str
    hidden: tuple[int, ...]
    steps: int  # environment steps
    updates: int  # gradient steps of all networks
    seconds: dict[str, float]  # by part; all of them together are the turn


class Breakdown(NamedTuple):
    """The median turn of an algorithm."""

    algorithm: str
    hidden: tuple[int, ...]
    steps_per_second: float
    updates_per_second: float
    shares: dict[str, float]  # of the time, by part; their sum is 1


def learners(game: Game) -> dict[str, tuple[Trained, str]]:
    """The algorithms that can learn in a game, each with the mechanism under which it does."""
    found: dict[str, tuple[Trained, str]] = {
        "PPO": (PPO(hidden=(64, 64)), "selfish"), "DQN": (DQN(), "selfish"),
        "DQN, a network each": (DQN(policies="separate"), "selfish"),
    }  # fmt: skip
    principal, mechanism = Algorithm3(), "principal-dqn"
    with suppress(UsageError):  # for games in which nobody can recommend actions
        contract = make_mechanism(mechanism, game)
        contract.check_principal()
        principal.check(contract)
        found["Algorithm 3"] = principal, mechanism
    return found


def breakdown(game: Game) -> Iterator[Spent]:
    """Each algorithm turn by turn, `ROUNDS` turns of each; one thread."""
    torch.set_num_threads(1)
    clocks = {name: Clock(name, *each, game) for name, each in learners(game).items()}
    with long_lived():
        for _ in range(ROUNDS):
            for clock in clocks.values():
                yield clock.turn(SECONDS)
    for clock in clocks.values():
        clock.algorithm.stop()


def breakdowns(turns: Iterable[Spent]) -> list[Breakdown]:
    """The median turn of each algorithm, by its environment steps a second."""
    taken: dict[str, list[Breakdown]] = {}
    for turn in turns:
        total = sum(turn.seconds.values())
        shares = {part: seconds / total for part, seconds in turn.seconds.items()}
        taken.setdefault(turn.algorithm, []).append(
            Breakdown(turn.algorithm, turn.hidden, turn.steps / total, turn.updates / total, shares)
        )
    return [sorted(each, key=lambda turn: turn.steps_per_second)[len(each) // 2] for each in taken.values()]


class Clock:
    """An algorithm in training, with clocks around its parts."""

    def __init__(self, name: str, role: Trained, mechanism: str, game: Game) -> None:
        self.name, self.role = name, role
        phase = VALIDATE if role.plays == "agents" else TRAIN
        task = role.prepared(Task(game, make_mechanism(mechanism, game), phase, 0, BUDGET))
        self.algorithm: RolesAlgorithm = configuration_of(role, task).build_algo()
        self.seconds: dict[str, float] = defaultdict(float)
        self.updates = 0
        learner: Any = self.algorithm.learner_group._learner
        for owner, method, part in (
            (self.algorithm.env_runner, "sample", PLAY), (learner, "_losses", NETWORKS),
            (learner, "_differentiate", NETWORKS), (learner, "_step", OPTIMISER), (learner, "_average", OPTIMISER),
        ):  # fmt: skip
            setattr(owner, method, self._timed(getattr(owner, method), part))
        while not self.updates:  # until there is enough to learn from; compiles and allocates
            self.algorithm.step()

    def turn(self, seconds: float) -> Spent:
        """Train for so many seconds, in whole iterations."""
        self.seconds.clear()
        self.updates, steps, began = 0, self.algorithm.steps, time.perf_counter()
        while not self.updates or time.perf_counter() - began < seconds:
            self.algorithm.step()
        parts = {part: self.seconds[part] for part in (PLAY, NETWORKS, OPTIMISER)}
        parts[REST] = time.perf_counter() - began - sum(parts.values())
        hidden = tuple(getattr(self.role, "hidden", ()))
        return Spent(self.name, hidden, self.algorithm.steps - steps, self.updates, parts)

    def _timed(self, method: Callable[..., object], part: str) -> Callable[..., object]:
        counts = method.__name__ == "_losses"  # one for each module that learns

        def timed(*arguments: object, **keywords: object) -> object:
            began = time.perf_counter()
            found = method(*arguments, **keywords)
            self.seconds[part] += time.perf_counter() - began
            self.updates += len(found) if counts and isinstance(found, dict) else 0
            return found

        return timed

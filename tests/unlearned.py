"""The phases of a run with nothing learned in them: networks as they were drawn, real play, real files, in a moment."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch

from paymaster.contracts.episodes import Episodes
from paymaster.contracts.loop import Minds, Simulation
from paymaster.contracts.margins import PaymentMargins
from paymaster.contracts.mechanism import Mechanism
from paymaster.envs.game import Game
from paymaster.learning.agents.policy import Policy
from paymaster.learning.networks import shape_of
from paymaster.learning.principals.recommending import TrainedPrincipal
from paymaster.learning.role import EVALUATE, TRAIN, VALIDATE, Update

B = 8  # parallel environments
NAP = 0.0  # seconds of each update: time to be killed in
calls: list[str] = []  # phases begun


class Learning:
    """Plays `loop` with `policy` until the budget is spent."""

    def __init__(self, loop: Simulation, policy: Policy, total: int, result: Any) -> None:
        self.loop, self.policy, self.total, self._result = loop, policy, total, result

    def __iter__(self) -> Iterator[Update]:
        while self.loop.steps < self.total:
            time.sleep(NAP)
            step = self.loop.step(self.policy(self.loop.seen))
            yield Update(self.loop.steps, self.total, step.episodes, {"loss": 1.0 / self.loop.steps})

    def result(self) -> Any:
        return self._result

    def __enter__(self) -> Learning:
        return self

    def __exit__(self, *error: object) -> None: ...


def train_principal(game: Game, settings: Any, *, seed: int, resources: Any = None, mechanism: Any = None) -> Learning:
    calls.append("train")
    torch.manual_seed(seed)
    shape = {**_shape(game), "players": len(game.agents), "dueling": True}
    principal = TrainedPrincipal(shape, PaymentMargins(nudge=settings.margin, due=settings.threshold))
    selfish = Mechanism(game=game)
    return Learning(
        Simulation(game, selfish, B, seed=seed, stream=TRAIN.stream),
        policy(game, selfish, seed),
        settings.steps,
        principal,
    )


def train_agents(
    game: Game, mechanism: Mechanism, principal: Any, settings: Any, *, seed: int, steps: int, resources: Any = None,
    begin: Policy | None = None, policies: Any = None,
) -> Learning:  # fmt: skip
    calls.append("validate" if begin is None else "go on")
    own = begin or policy(game, mechanism, seed)
    loop = Simulation(game, mechanism, B, seed=seed, stream=VALIDATE.stream, principal=principal, minds=Minds.of(own))
    return Learning(loop, own, steps, own)


def evaluate(game: Game, mechanism: Mechanism, principal: Any, policy: Policy, *, seed: int, episodes: int) -> Episodes:
    calls.append("evaluate")
    loop = Simulation(
        game, mechanism, episodes, seed=seed, stream=EVALUATE.stream, principal=principal, minds=Minds.of(policy)
    )
    while True:
        step = loop.step(policy(loop.seen))
        if step.episodes is not None:
            return step.episodes


def policy(game: Game, mechanism: Mechanism, seed: int) -> Policy:
    """An untrained policy, the same for the same seed."""
    torch.manual_seed(seed)
    network = {**_shape(game), "beside": mechanism.terms_size, "dueling": True}
    return Policy("q", {"agents": tuple(range(len(game.agents)))}, network)


def install() -> None:
    """Take the place of learning.phases, in this process."""
    import paymaster.learning

    module: ModuleType = sys.modules[__name__]
    sys.modules["paymaster.learning.phases"] = module
    paymaster.learning.phases = module  # type: ignore[attr-defined]


def _shape(game: Game) -> dict[str, Any]:
    return {"shape": shape_of(game), "actions": len(game.action_names), "encoder": "mlp", "hidden": (8,)}

"""Gradients by a traced graph, beside plain torch: not one number differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch

from paymaster import make, make_mechanism
from paymaster.core.config import configuration
from paymaster.learning.agents.a2c import A2C
from paymaster.learning.agents.dqn import DQN
from paymaster.learning.agents.ppo import PPO
from paymaster.learning.principals.algorithm_2 import Algorithm2
from paymaster.learning.principals.algorithm_3 import Algorithm3
from paymaster.learning.rllib import traced
from paymaster.learning.rllib.training import configuration_of
from paymaster.learning.role import TRAIN, VALIDATE, Task
from paymaster.learning.trained import Losses, Net, Peer, Tensors, Trained

COIN, TREE = "coin_game/ivanov-3x3", "tree/ivanov-d10"
SMALL: dict[str, Any] = {"environments": 8, "rollout_length": 4, "hidden": (16,)}
REPLAYED: dict[str, Any] = {**SMALL, "batch": 16, "warm_up": 0, "replay": 1000}
CASES: dict[str, tuple[Trained, str, str]] = {
    "dqn": (DQN(**REPLAYED), "selfish", COIN),
    "a network each, by priority": (DQN(**REPLAYED, policies="separate", priority=0.5), "selfish", COIN),
    "neither double nor dueling": (DQN(**REPLAYED, double=False, dueling=False, target_interval=3), "selfish", COIN),
    "a convolution": (DQN(**REPLAYED, encoder="conv"), "selfish", COIN),
    "rows that are mostly zero": (DQN(**{**REPLAYED, "batch": 128}), "selfish", "coin_game/ivanov-7x7"),
    "classes": (DQN(**REPLAYED, encoder="conv"), "selfish", "cleanup/ssd"),
    "ppo, a network each": (PPO(**SMALL, policies="separate"), "selfish", COIN),
    "a2c": (A2C(**SMALL), "selfish", COIN),
    "algorithm 3": (Algorithm3(**REPLAYED, margins_in_training=True, nudge=0.1), "principal-dqn", COIN),
    "joint values": (Algorithm3(**REPLAYED, joint_values=True, favour=0.1), "principal-dqn", COIN),
    "algorithm 2": (Algorithm2(**REPLAYED), "outcome-dqn", TREE),
}  # fmt: skip


def weights(role: Trained, mechanism: str, game: str, iterations: int = 3) -> dict[str, torch.Tensor]:
    """All parameters after some iterations, those of averages included."""
    torch.manual_seed(0)
    played = make(game)
    phase = VALIDATE if role.plays == "agents" else TRAIN
    task = role.prepared(Task(played, make_mechanism(mechanism, played), phase, 0, 10_000))
    algorithm: Any = configuration_of(role, task).build_algo()
    for _ in range(iterations):
        algorithm.step()
    learner = algorithm.learner_group._learner
    assert set(learner._traced) == (set(algorithm.roles.modules) if type(role).traceable else set())
    found = {
        f"{module}/{name}": torch.from_numpy(value)
        for module, state in algorithm.weights().items()
        for name, value in state.items()
    }
    algorithm.stop()
    return found


@pytest.mark.parametrize("case", CASES)
def test_what_is_learned_is_the_same_to_the_last_bit(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    role, mechanism, game = CASES[case]
    fast = weights(role, mechanism, game)
    monkeypatch.setattr(type(role), "traceable", False)
    plain, first = weights(role, mechanism, game), weights(role, mechanism, game, iterations=0)
    assert fast.keys() == plain.keys()
    assert any(not torch.equal(plain[name], first[name]) for name in plain)
    for name, value in plain.items():
        assert torch.equal(fast[name], value), name


def test_minibatches_of_ever_new_shapes_are_learned_from_by_plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    role, mechanism, game = CASES["dqn"]
    kept = weights(role, mechanism, game)
    monkeypatch.setattr(traced, "SHAPES", 0)
    for name, value in weights(role, mechanism, game).items():
        assert torch.equal(kept[name], value), name


@configuration
class Branching(A2C):
    """Takes other steps where its numbers are others, against what it says of itself."""

    traceable: ClassVar[bool] = True

    def loss(self, net: Net, target: Net | None, batch: Tensors, peers: Mapping[str, Peer]) -> Losses:
        found = super().loss(net, target, batch, peers)
        return found if found.total.item() > 0.0 else found._replace(total=2 * found.total)


def test_a_loss_that_cannot_be_traced_is_told() -> None:
    with pytest.raises(Exception, match="Branching says that its loss is `traceable`"):
        weights(Branching(**SMALL), "selfish", COIN)

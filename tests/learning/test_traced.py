"""Gradients by a traced graph, beside plain torch: not one number differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from paymaster import make, make_mechanism
from paymaster.core.config import UsageError, configuration
from paymaster.learning.agents.a2c import A2C
from paymaster.learning.agents.dqn import DQN
from paymaster.learning.agents.ppo import PPO
from paymaster.learning.principals.algorithm_2 import Algorithm2
from paymaster.learning.principals.algorithm_3 import Algorithm3
from paymaster.learning.rllib import learner, traced
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
    "pixels": (DQN(**REPLAYED, encoder="conv"), "selfish", "cleanup/ssd"),
    "ppo, a network each": (PPO(**SMALL, policies="separate"), "selfish", COIN),
    "a2c": (A2C(**SMALL), "selfish", COIN),
    "algorithm 3": (Algorithm3(**REPLAYED, margins_in_training=True, nudge=0.1), "principal-dqn", COIN),
    "joint values": (Algorithm3(**REPLAYED, joint_values=True, favour=0.1), "principal-dqn", COIN),
    "algorithm 2": (Algorithm2(**REPLAYED), "outcome-dqn", TREE),
}  # fmt: skip


def weights(
    role: Trained, mechanism: str, game: str, iterations: int = 3, *, run_by_graphs: bool | None = None, **rules: Any
) -> dict[str, torch.Tensor]:
    """All parameters after some iterations, those of averages included."""
    torch.manual_seed(0)
    played = make(game, **rules)
    phase = VALIDATE if role.plays == "agents" else TRAIN
    task = role.prepared(Task(played, make_mechanism(mechanism, played), phase, 0, 10_000))
    algorithm: Any = configuration_of(role, task).build_algo()
    for _ in range(iterations):
        algorithm.step()
    graphs = algorithm.learner_group._learner._graphs
    assert set(graphs) == (set(algorithm.roles.modules) if type(role).traceable else set())
    if run_by_graphs is not None:
        assert {graph is not None for each in graphs.values() for graph in each.graphs.values()} == {run_by_graphs}
    found = {
        f"{module}/{name}": torch.from_numpy(value)
        for module, state in algorithm.weights().items()
        for name, value in state.items()
    }
    algorithm.stop()
    return found


SLOW = ("neither double nor dueling", "classes", "pixels", "a2c", "joint values")


@pytest.mark.parametrize("case", [pytest.param(case, marks=[pytest.mark.slow] * (case in SLOW)) for case in CASES])
def test_what_is_learned_is_the_same_to_the_last_bit(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    role, mechanism, game = CASES[case]
    by_torch = case == "pixels"  # the convolution of which torch's tracer lacks the gradient's kernel
    rules = {"observation": "rgb"} if by_torch else {}
    fast = weights(role, mechanism, game, run_by_graphs=not by_torch, **rules)
    monkeypatch.setattr(type(role), "traceable", False)
    plain, first = (weights(role, mechanism, game, iterations=count, **rules) for count in (3, 0))
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
class Varied(A2C):
    """Its loss is A2C's, and what `changed` makes of it."""

    traceable: ClassVar[bool] = True

    def changed(self, total: torch.Tensor, net: Net, batch: Tensors) -> torch.Tensor:
        return total

    def loss(self, net: Net, target: Net | None, batch: Tensors, peers: Mapping[str, Peer]) -> Losses:
        found = super().loss(net, target, batch, peers)
        return found._replace(total=self.changed(found.total, net, batch))


@configuration
class ManyLooks(Varied):
    """It evaluates its network again and again, which an optimiser of graphs would put into one product."""

    def changed(self, total: torch.Tensor, net: Net, batch: Tensors) -> torch.Tensor:
        return total + sum((net(batch["obs"] * scale).mean() for scale in range(6)), torch.zeros(()))


def test_a_network_may_be_evaluated_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = weights(ManyLooks(**SMALL), "selfish", COIN, iterations=6)
    monkeypatch.setattr(Varied, "traceable", False)
    for name, value in weights(ManyLooks(**SMALL), "selfish", COIN, iterations=6).items():
        assert torch.equal(fast[name], value), name


@configuration
class Branching(Varied):
    """It takes other steps where its numbers are others, against what it says of itself."""

    def changed(self, total: torch.Tensor, net: Net, batch: Tensors) -> torch.Tensor:
        return total if total.item() > 0.0 else 2 * total


@configuration
class Reading(Varied):
    """Its loss rests on a number that torch does not see it read."""

    def changed(self, total: torch.Tensor, net: Net, batch: Tensors) -> torch.Tensor:
        return total * batch["advantages"].tolist()[0]


@configuration
class Drawing(Varied):
    """It draws at random."""

    def changed(self, total: torch.Tensor, net: Net, batch: Tensors) -> torch.Tensor:
        return total * torch.rand(())


@pytest.mark.parametrize(
    ("role", "why"), [(Branching, "reads a number"), (Reading, "takes other steps"), (Drawing, "draws at random")]
)
def test_a_loss_that_cannot_be_traced_is_told(role: type[Varied], why: str) -> None:
    with pytest.raises(UsageError, match=f"the loss of {role.__name__} .*{why}.* set its `traceable` to False"):
        weights(role(**SMALL), "selfish", COIN)


@configuration
class Mistaken(Varied):
    def changed(self, total: torch.Tensor, net: Net, batch: Tensors) -> torch.Tensor:
        return total + torch.ones(3) @ torch.ones(4)


def test_another_mistake_in_a_loss_is_told_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="size"):
        weights(Mistaken(**SMALL), "selfish", COIN)


@configuration
class Flat(Varied):
    """Its loss has no gradient."""

    def changed(self, total: torch.Tensor, net: Net, batch: Tensors) -> torch.Tensor:
        return total.detach()


def test_a_loss_without_a_gradient_moves_nothing() -> None:
    before = weights(Flat(**SMALL), "selfish", COIN, iterations=0)
    after = weights(Flat(**SMALL), "selfish", COIN, run_by_graphs=False)
    assert all(torch.equal(before[name], after[name]) for name in before)


@configuration
class Inheriting(A2C):
    """Its class says nothing of a loss of its own."""

    def loss(self, net: Net, target: Net | None, batch: Tensors, peers: Mapping[str, Peer]) -> Losses:
        return super().loss(net, target, batch, peers)


@configuration
class Peering(Varied):
    """Its loss may read others' networks, which a graph would hold as they were."""

    sees_peers: ClassVar[bool] = True


@pytest.mark.parametrize("role", [Inheriting, Peering])
def test_what_says_nothing_of_its_own_loss_or_sees_others_is_not_traced(
    role: type[A2C], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(learner, "TracedGradient", made.append)
    played = make(COIN)
    task = Task(played, make_mechanism("selfish", played), VALIDATE, 0, 10_000)
    configuration_of(role(**SMALL), task).build_algo().stop()
    assert made == []


def test_agents_that_begin_anew_are_learned_from_where_they_stand() -> None:
    """Weights that are loaded into a module are those that its graph reads."""
    role, mechanism, game = CASES["dqn"]
    played = make(game)
    task = role.prepared(Task(played, make_mechanism(mechanism, played), VALIDATE, 0, 10_000))
    algorithm: Any = configuration_of(role, task).build_algo()
    first = algorithm.weights()
    for _ in range(3):
        algorithm.step()
    algorithm.go_on_from(first)
    algorithm.step()  # four gradient steps
    for name, value in algorithm.weights()["agents"].items():
        assert np.abs(value - first["agents"][name]).max() < 0.02
    algorithm.stop()


def test_an_interrupt_within_a_graph_stops_what_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control-C and SIGTERM: torch would make a RuntimeError of them, and the next run would begin."""
    game = make("coin_game/ivanov-7x7")
    task = Task(game, make_mechanism("selfish", game), VALIDATE, 0, 10_000)
    algorithm: Any = configuration_of(DQN(**{**REPLAYED, "batch": 128}), task).build_algo()
    algorithm.step()

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("paymaster.learning.sparse_layer._add_columns", interrupted)
    with pytest.raises(KeyboardInterrupt):
        algorithm.step()
    algorithm.stop()

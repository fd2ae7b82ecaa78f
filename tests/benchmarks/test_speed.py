"""`paymaster speed --training`: what is compared is comparable, and ratios and shares are told. No time is asserted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner

from paymaster import make
from paymaster.benchmarks.cli.app import main
from paymaster.benchmarks.speed import breakdown, training
from paymaster.benchmarks.speed.breakdown import Spent, breakdowns
from paymaster.benchmarks.speed.training import Contender, Turn, algorithms, training_rates
from paymaster.learning.agents.dqn import DQN
from paymaster.learning.agents.ppo import PPO
from paymaster.learning.principals.algorithm_3 import Algorithm3
from paymaster.learning.rllib.gradient_steps import FlatAdam

GAME = "coin_game/ivanov-3x3"
SMALL = PPO(hidden=(8,), environments=64, fragment=16, epochs=3, minibatches=4)


def test_a_rate_is_the_median_and_its_ratio_is_to_rllibs_fastest_on_the_same_network() -> None:
    turns = [
        Turn(Contender(hidden, learner, B), rate)
        for hidden, learner, B, rates in (
            ((8,), "RLlib", 16, (9.0, 1.0, 2.0)), ((8,), "RLlib", 64, (4.0, 3.0, 5.0)),
            ((8,), "array", 128, (80.0, 10.0, 20.0)), ((4,), "RLlib", 16, (10.0, 10.0, 10.0)),
            ((4,), "array", 128, (30.0, 30.0, 30.0)),
        )
        for rate in rates
    ]  # fmt: skip
    assert [(*rate[:2], *rate[3:]) for rate in training_rates(turns)] == [
        ((8,), "RLlib", 2.0, 0.5), ((8,), "RLlib", 4.0, 1.0), ((8,), "array", 20.0, 5.0),
        ((4,), "RLlib", 10.0, 1.0), ((4,), "array", 30.0, 3.0),
    ]  # fmt: skip


def test_both_learn_by_as_many_gradient_steps_of_as_many_rows_with_as_many_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stepped: Counter[str] = Counter()
    rows: list[int] = []
    loss = PPOTorchLearner.compute_loss_for_module

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any) -> Any:
            stepped["gradient steps"] += 1
            return step(*arguments)

        return counting

    def measured(self: PPOTorchLearner, *, batch: Any, **keywords: Any) -> torch.Tensor:
        rows.append(int(batch["loss_mask"].sum()) if "loss_mask" in batch else len(batch["actions"]))
        return loss(self, batch=batch, **keywords)

    for kind, name in ((torch.optim.Adam, "step"), (FlatAdam, "advance")):
        monkeypatch.setattr(kind, name, counted(getattr(kind, name)))
    monkeypatch.setattr(PPOTorchLearner, "compute_loss_for_module", measured)
    monkeypatch.setattr(PPO, "traceable", False)  # a graph runs the loss without calling it
    weights = set()
    for contender, algorithm in algorithms(make(GAME), SMALL).items():
        for _ in range(3):  # the horizon is 20, and a rollout of 64 environments 16: episodes end in some of them
            stepped.clear()
            rows.clear()
            algorithm.train()
            assert stepped["gradient steps"] == 3 * 4
            assert 0.9 < sum(rows) / (3 * 64 * 16 * 2) < 1.1, contender
        module = algorithm.learner_group._learner.module["agents"]
        weights.add(sum(parameter.numel() for parameter in module.parameters()))
        algorithm.stop()
    assert len(weights) == 1


def test_the_median_turn_counts() -> None:
    turns = [
        Spent("DQN", (8,), steps, 2, {"play": 1.0, "networks": networks, "optimiser": 0.0, "rest": 0.0})
        for steps, networks in ((40, 3.0), (10, 1.0), (80, 3.0))
    ]
    (found,) = breakdowns(turns)
    assert (found.steps_per_second, found.updates_per_second) == (10.0, 0.5)
    assert found.shares == {"play": 0.25, "networks": 0.75, "optimiser": 0.0, "rest": 0.0}


def test_algorithm_3_is_left_out_where_actions_are_hidden() -> None:
    assert list(breakdown.learners(make(GAME))) == ["PPO", "DQN", "DQN, a network each", "Algorithm 3"]
    assert "Algorithm 3" not in breakdown.learners(make("tree/ivanov-d10"))


@pytest.mark.slow
def test_both_ratios_are_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(training, "ROUNDS", 1)
    monkeypatch.setattr(training, "SECONDS", 0.0)
    monkeypatch.setattr(training, "PPO", partial(PPO, environments=64, fragment=4))
    few = {"environments": 8, "fragment": 4, "batch": 8, "warm_up": 0, "hidden": (8,)}
    shortened = {"DQN": (DQN(**few), "selfish"), "Algorithm 3": (Algorithm3(**few), "principal-dqn")}
    monkeypatch.setattr(breakdown, "learners", lambda game: shortened)
    monkeypatch.setattr(breakdown, "ROUNDS", 1)
    monkeypatch.setattr(breakdown, "SECONDS", 0.0)

    def told(*arguments: str) -> str:
        with pytest.raises(SystemExit) as exit:
            main(["speed", GAME, "--training", *arguments])
        assert exit.value.code == 0
        return capsys.readouterr().out

    measured = json.loads(told("--json"))
    rows = measured["training"]
    assert {"machine", "commit", "versions", "date"} <= measured.keys()
    assert [each["algorithm"] for each in measured["breakdown"]] == ["DQN", "Algorithm 3"]
    for each in measured["breakdown"]:
        assert list(each["shares"]) == ["play", "networks", "optimiser", "rest"]
        assert sum(each["shares"].values()) == pytest.approx(1.0)
        assert min(each["shares"].values()) > 0.0
        assert each["steps_per_second"] == pytest.approx(8 * each["updates_per_second"])  # one for each vector step
    assert [(row["hidden"], row["learner"], row["environments"]) for row in rows] == [
        (hidden, learner, B)
        for hidden in ([256, 256], [64, 64])
        for learner, B in (("RLlib", 16), ("RLlib", 64), ("array", 64))
    ]
    for hidden in ([256, 256], [64, 64]):
        *stock, array = (row for row in rows if row["hidden"] == hidden)
        assert max(row["times"] for row in stock) == 1.0
        assert array["times"] == array["steps_per_second"] / max(row["steps_per_second"] for row in stock)
    lines = told().splitlines()
    assert lines[2].split() == ["network", "PPO", "environments", "steps", "a", "second", "times", "RLlib's"]
    assert [line.split()[:3] for line in lines[4 : 4 + len(rows)]] == [
        ["x".join(map(str, row["hidden"])), row["learner"], str(row["environments"])] for row in rows
    ]
    head = lines[-4].split()
    assert head[-4:] == ["play", "networks", "optimiser", "rest"]
    assert [line.split()[0] for line in lines[-2:]] == ["DQN", "Algorithm"]

"""Consequentialist conditional cooperation: its threshold by hand, and a run of it from two finished runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paymaster import UsageError, load, make, make_mechanism
from paymaster.benchmarks.cli import main
from paymaster.benchmarks.specs.resolve import resolve
from paymaster.benchmarks.specs.spec import RunSpec
from paymaster.benchmarks.specs.suites import expand, load_suite
from paymaster.envs.game import Game
from paymaster.learning.agents.ccc import ConditionalCooperation, ConditionalPolicy
from paymaster.learning.agents.mixed import MixedPolicy, Part
from paymaster.learning.agents.scripted import ScriptedPolicy, Strategy
from paymaster.learning.phases import evaluate, train_agents
from paymaster.learning.role import Finished

DILEMMA = make("matrix/iterated-prisoners-dilemma", horizon=10)  # -1, -3, 0, -2
COINS = make("coin_game/rllib-3x3", horizon=60)
SUITE = """
game: matrix/iterated-prisoners-dilemma
rules: {horizon: 5}
steps: 1
episodes: 8
seeds: 1
settings: {lola: {updates: 20}}
runs:
  - {mechanism: selfish, algorithm: lola}
  - {mechanism: joint, algorithm: lola}
  - mechanism: selfish
    algorithm: ccc
    settings: {rollouts: 8}
    policies_from: {cooperative: joint/lola, selfish: selfish/lola}
"""


def scripted(game: Game, strategy: Strategy) -> Finished:
    return Finished("scripted", {"strategy": strategy}, ScriptedPolicy(game, strategy))


def player(game: Game, cooperative: Strategy = "cooperate", selfish: Strategy = "defect", **settings: Any) -> Any:
    mechanism, role = make_mechanism("selfish", game), ConditionalCooperation(**{"rollouts": 64, **settings})
    policies = {"cooperative": scripted(game, cooperative), "selfish": scripted(game, selfish)}
    with train_agents(game, mechanism, None, role, seed=100, steps=1, policies=policies) as learning:
        return learning.result()


def returns(game: Game, one: Any, other: Any, episodes: int = 64) -> list[float]:
    policy = MixedPolicy([Part("", {}, (0,), one), Part("", {}, (1,), other)])
    played = evaluate(game, make_mechanism("selfish", game), None, policy, seed=100, episodes=episodes)
    return played.returns.mean(axis=0).tolist()


def test_enough_is_what_lies_between_cooperation_and_being_robbed() -> None:
    """-1 a step among cooperators, -3 against a defector; nothing varies, so nothing is forgiven beyond it."""
    for leniency, rate in ((0.0, -1.0), (0.25, -1.5), (1.0, -3.0)):
        enough = player(DILEMMA, leniency=leniency).enough
        np.testing.assert_allclose(enough, rate * np.arange(11)[:, None] * np.ones(2), atol=1e-5)


@pytest.mark.parametrize(
    ("leniency", "first", "second"),
    [
        (0.5, -3 - 9 * 2, -9 * 2),  # -3 is less than -2, and by defecting it never catches up
        # -3 < -2.8; -5 >= -5.6, -8 >= -8.4, -11 >= -11.2, -14 >= -14; -17 < -16.8; -19 >= -19.6, -22 >= -22.4,
        # -25 >= -25.2: it defects twice
        (0.9, -8 * 3 - 2 * 2, -2 * 2),
    ],
)  # fmt: skip
def test_what_it_earns_against_a_defector_by_hand(leniency: float, first: float, second: float) -> None:
    agent, defector = player(DILEMMA, leniency=leniency), ScriptedPolicy(DILEMMA, "defect")
    assert returns(DILEMMA, agent, defector) == [first, second]
    assert returns(DILEMMA, agent, agent) == [-10, -10]
    assert returns(DILEMMA, agent, ScriptedPolicy(DILEMMA, "tit-for-tat")) == [-10, -10]


def test_slack_forgives_what_varies() -> None:
    strict, lenient = (player(COINS, slack=slack).enough for slack in (0.0, 2.0))
    assert (strict[0] == lenient[0]).all()
    assert (strict[30:] > lenient[30:] + 1).all()


def test_in_the_coin_game_it_cooperates_with_itself_and_is_robbed_of_less_than_a_cooperator() -> None:
    agent = player(COINS)
    cooperator, defector = (ScriptedPolicy(COINS, each) for each in ("cooperate", "defect"))
    together, cooperating = returns(COINS, agent, agent), returns(COINS, cooperator, cooperator)
    assert min(together) > 0.95 * min(cooperating)
    robbed, robbing = returns(COINS, agent, defector)
    assert robbed > returns(COINS, cooperator, defector)[0] + 10
    assert robbing < 0.5 * min(cooperating)  # so it does not pay to defect


def test_policies_with_a_memory_keep_it_within(tmp_path: Path) -> None:
    """By grim instead of cooperating it is the same against a cooperator, and what is kept plays the same."""
    agent = player(DILEMMA, "grim")
    assert returns(DILEMMA, agent, ScriptedPolicy(DILEMMA, "grim")) == [-10, -10]
    assert returns(DILEMMA, agent, ScriptedPolicy(DILEMMA, "defect")) == [-21, -18]
    agent.save(tmp_path / "policy")
    again = ConditionalPolicy.load(tmp_path / "policy")
    assert returns(DILEMMA, again, ScriptedPolicy(DILEMMA, "defect")) == [-21, -18]


def test_a_suite_names_the_runs_by_whose_policies_it_plays(tmp_path: Path) -> None:
    path = tmp_path / "players.yaml"
    path.write_text(SUITE)
    with pytest.raises(SystemExit, match="0"):
        main(["run", str(path), "--workers", "1", "--out", str(tmp_path / "runs")])
    (folder,) = tmp_path.glob("runs/*/selfish/ccc/s0-*")
    about = json.loads((folder / "run.json").read_text())
    assert {name: each["from"] for name, each in about["resolved"]["policies_from"].items()} == {
        "cooperative": "joint/lola", "selfish": "selfish/lola"
    }  # fmt: skip
    assert len(about["steps_taken"]) == 2
    made = load(folder)
    played = evaluate(made.game, made.mechanism, None, made.policy, seed=0, episodes=8)
    assert played.returns.sum(axis=1).mean() == pytest.approx(about["evaluated"]["welfare"])
    assert [path.name for path in folder.glob("audit.json")] == []


def test_runs_that_it_cannot_play_by_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "players.yaml"
    path.write_text(SUITE)
    spec = expand(load_suite(str(path)))[-1]
    assert sorted(spec.policies_from) == ["cooperative", "selfish"]
    for change in ({}, {"cooperative": spec.policies_from["cooperative"]}):
        with pytest.raises(UsageError, match="policies of finished runs: cooperative, selfish"):
            resolve(spec.model_copy(update={"policies_from": change}))
    with pytest.raises(UsageError, match=r"of dqn play by policies of finished runs: none"):
        resolve(spec.model_copy(update={"algorithm": "dqn", "settings": {}}))
    other = spec.policies_from["selfish"].model_copy(update={"rules": {"horizon": 6}})
    with pytest.raises(UsageError, match="another game, or has other rules"):
        resolve(spec.model_copy(update={"policies_from": {**spec.policies_from, "selfish": other}}))
    paid = RunSpec(**{**other.model_dump(), "rules": spec.rules, "mechanism": "principal-exact"})
    with pytest.raises(UsageError, match="numbers as their terms"):
        resolve(spec.model_copy(update={"policies_from": {**spec.policies_from, "selfish": paid}}))

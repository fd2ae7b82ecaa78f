"""Agents trained elsewhere: evaluated, recorded, compared, drawn; and what is said where their weights are needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paymaster import compare, load, record
from paymaster.benchmarks.cli.app import main
from paymaster.benchmarks.measures.audit import read_audit
from paymaster.benchmarks.runs.record import read_about, read_episodes, read_training
from paymaster.benchmarks.runs.run import Result
from paymaster.contracts.loop import AgentView
from paymaster.contracts.mechanism import Decisions
from paymaster.core.config import UsageError
from paymaster.envs.game import Game
from paymaster.learning import ROLES, Update, algorithms

GAME = "matrix/prisoners-dilemma"  # 3, 3 if both cooperate; 4 and 0 if one does; 1, 1 if neither


def cooperate(seen: AgentView) -> np.ndarray:
    return np.zeros(seen.terms.shape[:2], np.int64)


def recorded(out: Path, policy: Any = cooperate, **settings: Any) -> Result:
    return record(
        policy, GAME, **{"learner": "maddpg", "steps": 5000, "seed": 3, "out": out, "episodes": 8, **settings}
    )


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as exit:
        main([str(argument) for argument in arguments])
    assert exit.value.code == 2
    return capsys.readouterr().err


def test_what_was_trained_elsewhere_is_evaluated_and_says_so(tmp_path: Path) -> None:
    result = recorded(tmp_path)
    assert (result.welfare, result.payment) == (6.0, 0.0)
    about = read_about(result.folder / "run.json")
    assert "outside Paymaster, by maddpg; their steps are as stated" in about["trained_elsewhere"]
    assert about["steps"]["validate"] == about["spec"]["steps"] == 5000
    assert set(read_episodes(result.folder)["phase"]) == {"evaluate"}
    assert set(read_episodes(result.folder)["algorithm"]) == {"maddpg (external)"}
    assert not len(read_training(result.folder))
    assert not [*result.folder.glob("policy.*")]


def test_it_is_compared_and_drawn_and_was_audited(tmp_path: Path) -> None:
    result = recorded(tmp_path)
    ((line,),) = (group.lines for group in compare(tmp_path).groups)
    assert line.label == "selfish/maddpg (external)"
    assert line.first.steps == 5000
    audit = read_audit(result.folder)
    assert audit is not None
    assert audit.learned.gain == [1.0, 1.0]  # who defects instead earns 4
    for arguments in (["compare", tmp_path], ["render", result.folder, "--out", tmp_path / "still.png"]):
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        assert not exit.value.code
    assert (tmp_path / "still.png").stat().st_size > 0


def test_what_needs_its_weights_says_in_a_sentence_that_they_are_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = recorded(tmp_path / "runs").folder
    with pytest.raises(UsageError, match="agents of maddpg learned elsewhere, and the weights are not in this run's"):
        load(folder)
    for arguments in (("audit", folder), ("show", folder), ("play", GAME, "--run", folder)):
        told = refused(capsys, *arguments)
        assert "the agents of maddpg learned elsewhere" in told
        assert len(told.splitlines()) == 1
    with pytest.raises(SystemExit) as exit:
        main(["run", str(folder / "run.json"), "--out", str(tmp_path / "again")])
    assert exit.value.code == 1
    assert "maddpg that learned elsewhere cannot be trained here" in capsys.readouterr().out
    assert "record them with paymaster.record" in refused(capsys, "run", GAME, "--algorithm", "external")


def test_a_name_is_none_of_paymasters_own(tmp_path: Path) -> None:
    for name in ROLES:
        with pytest.raises(UsageError, match="the name of a learner that is trained here"):
            recorded(tmp_path, learner=name)
    for name, said in (("", "learner is empty"), ("two\nlines", "learner: string should match")):
        with pytest.raises(UsageError, match=said):
            recorded(tmp_path, learner=name)
    assert "external" not in algorithms()
    assert not [*tmp_path.iterdir()]


def test_a_run_is_recorded_once_and_other_learners_and_budgets_stand_beside(tmp_path: Path) -> None:
    first = recorded(tmp_path)
    with pytest.raises(UsageError, match="is recorded already"):
        recorded(tmp_path, lambda seen: 1 - cooperate(seen))
    others = [recorded(tmp_path, **other).folder for other in ({"learner": "qmix"}, {"steps": 1}, {"seed": 4})]
    assert len({first.folder, *others}) == 4


def test_learning_curves_are_kept_where_they_are_given(tmp_path: Path) -> None:
    updates = [Update(1000, 5000, None, {"loss": 0.5}), Update(5000, 5000, None, {"loss": 0.25})]
    kept = read_training(recorded(tmp_path, updates=updates).folder)
    assert kept[["phase", "steps", "name", "value"]].to_numpy().tolist() == [
        ["validate", 1000, "loss", 0.5], ["validate", 5000, "loss", 0.25],
    ]  # fmt: skip


def test_agents_that_draw_by_themselves_are_recorded_without_an_audit(tmp_path: Path) -> None:
    folder = recorded(tmp_path, lambda seen: (seen.noise > 0.5).astype(np.int64)).folder
    assert read_audit(folder) is None


def test_a_principal_trained_elsewhere_decides(tmp_path: Path) -> None:
    def principal(game: Game, state: Any) -> Decisions:
        return Decisions(np.zeros((len(state.t), 2), np.int64), np.full((len(state.t), 2), 1.5, np.float32))

    with pytest.raises(UsageError, match="mechanism principal-dqn needs a principal: the folder of a run, or"):
        recorded(tmp_path, mechanism="principal-dqn")
    with pytest.raises(UsageError, match="principal_learner is empty"):
        recorded(tmp_path, mechanism="principal-dqn", principal=principal)
    result = recorded(tmp_path, mechanism="principal-dqn", principal=principal, principal_learner="planner")
    assert (result.welfare, result.payment, result.compliance) == (6.0, 3.0, 1.0)
    about = read_about(result.folder / "run.json")
    assert about["name"] == "principal-dqn external=planner"
    assert about["resolved"]["principal"] == {"external": "planner"}
    with pytest.raises(UsageError, match="principal of planner learned elsewhere"):
        load(result.folder)


def test_the_principal_of_a_run_decides(tmp_path: Path) -> None:
    from paymaster import run

    source = run(GAME, mechanism="principal-exact", algorithm="follow", seed=3, steps=1, episodes=8, out=tmp_path)
    result = recorded(tmp_path, mechanism="principal-exact", principal=source.folder)
    assert result.payment == pytest.approx(2.0)  # defecting gains 1, whatever the other does
    assert read_about(result.folder / "run.json")["spec"]["principal_from"]["algorithm"] == "follow"
    with pytest.raises(UsageError, match="they must be the same"):
        recorded(tmp_path, mechanism="principal-exact", principal=source.folder, seed=4)


def test_what_agents_expect_is_asked_of_them(tmp_path: Path) -> None:
    class Expecting:
        def __call__(self, seen: AgentView) -> np.ndarray:
            return cooperate(seen)

        def values(self, seen: AgentView) -> np.ndarray:
            return np.full(seen.terms.shape[:2], 3.0)

    with pytest.raises(UsageError, match="needs value estimates"):
        recorded(tmp_path, mechanism="mate")
    shaping = read_episodes(recorded(tmp_path, Expecting(), mechanism="mate").folder, "evaluate")["shaping_0"]
    assert (shaping == 2.0).all()  # 3 + 0 - 3 is no loss: both ask, each is asked once, and each answer is 1

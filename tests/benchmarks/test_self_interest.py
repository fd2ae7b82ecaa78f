"""The search for the largest self-interest level that cooperates: its criterion, its bisection, its command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paymaster import make
from paymaster.benchmarks.analysis.empirical_game import empirical_payoffs
from paymaster.benchmarks.analysis.self_interest import TOLERANCE, Found, Trial, Welfare, levels, search
from paymaster.benchmarks.cli.app import main
from paymaster.benchmarks.reports.self_interest import PICTURE, RECORD
from paymaster.contracts.loop import AgentView, Simulation
from paymaster.contracts.mechanism import Mechanism
from paymaster.envs.game import Game
from paymaster.equilibria.normal_form.transfer_levels import least_transfers, symmetric_level
from paymaster.learning.agents.policy import Policy
from paymaster.learning.networks import shape_of

from .. import unlearned

PD = "matrix/prisoners-dilemma"


def at(welfare: float) -> Welfare:
    return {0: welfare - 0.25, 1: welfare, 2: welfare + 0.25}


class Pretended:
    """Learners who cooperate up to a level of theirs: fresh ones, and ones that go on from the level before."""

    def __init__(self, fresh: float, going_on: float) -> None:
        self.fresh, self.going_on = fresh, going_on
        self.played: list[tuple[float, bool]] = []

    def __call__(self, level: float, fresh: bool) -> Welfare:
        self.played.append((level, fresh))
        return at(6.0 if level <= (self.fresh if fresh else self.going_on) else 2.0)


# The levels and the criterion


def test_levels_by_hand() -> None:
    # s = r / (N + r - 1): 20/21, 10/11, 5/6, 3/4, 5/7, 2/3, 5/8, 4/7, 1/2
    assert levels(2) == [1.0, 0.9524, 0.9091, 0.8333, 0.75, 0.7143, 0.6667, 0.625, 0.5714, 0.5]
    assert levels(4)[1:4] == [0.8696, 0.7692, 0.625]
    assert levels(4)[-1] == 0.25


@pytest.mark.parametrize(("welfare", "cooperates"), [(5.2, True), (5.19, False), (7.0, True)])
def test_agents_cooperate_from_four_fifths_of_the_way_on(welfare: float, cooperates: bool) -> None:
    def play(level: float, fresh: bool) -> Welfare:
        return at(2.0 if level == 1.0 else 6.0 if level == 0.5 else welfare if level == 0.75 else 6.0 * (level < 0.75))

    found = search(play, 2)
    assert (found.level >= 0.75) == cooperates
    tried = next(trial for trial in found.trials if trial.level == 0.75 and trial.fresh)
    assert found.way(tried) == pytest.approx((welfare - 2) / 4)


def test_one_seed_of_many_does_not_decide() -> None:
    """It is the mean over seeds that is judged."""

    def play(level: float, fresh: bool) -> Welfare:
        low, high, one = (dict(enumerate(each)) for each in ([2.0] * 3, [6.0] * 3, [6.0, 2.0, 2.0]))
        return low if level > 0.75 else high if level < 0.6 else one

    assert search(play, 2).level < 0.6


@pytest.mark.parametrize("joint", [2.0, 1.0, 2.1])
def test_without_a_dilemma_there_is_nothing_to_search_for(joint: float) -> None:
    made: list[float] = []

    def play(level: float, fresh: bool) -> Welfare:
        made.append(level)
        return {0: 2.0, 1: 2.0, 2: 2.0} if level == 1.0 else {0: joint - 0.5, 1: joint, 2: joint + 0.5}

    found = search(play, 2)
    assert made == [1.0, 0.5]
    assert np.isnan([found.level, found.above, found.way(found.joint)]).all()


# The search


@given(st.integers(2, 8), st.floats(0, 1), st.floats(0, 1))
def test_fresh_agents_decide_whatever_the_others_did(players: int, fresh: float, going_on: float) -> None:
    lowest, highest = 1 / players, 0.999
    truth = lowest + 1e-4 + fresh * (highest - lowest - 1e-4)
    learners = Pretended(truth, lowest + going_on * (highest - lowest))
    found = search(learners, players)
    assert found.level <= truth < found.above
    assert found.above - found.level <= TOLERANCE + 1e-4
    assert len(learners.played) == len(set(learners.played)) == len(found.trials), "nothing is learned twice"
    assert {found.level, found.above} <= {trial.level for trial in found.trials if trial.fresh}


def test_agents_go_down_level_by_level_until_they_cooperate_and_fresh_ones_follow() -> None:
    learners = Pretended(fresh=0.7, going_on=0.7)
    found = search(learners, 2)
    assert learners.played == [
        (1.0, True), (0.5, True),
        *((level, False) for level in (0.9524, 0.9091, 0.8333, 0.75, 0.7143, 0.6667)),
        (0.6667, True), (0.7143, True), (0.6905, True),
    ]  # fmt: skip
    assert (found.level, found.above) == (0.6905, 0.7143)


def test_agents_that_stay_selfish_too_long_are_corrected() -> None:
    found = search(Pretended(fresh=0.8, going_on=0.6), 2)
    assert found.level <= 0.8 < found.above


def test_agents_that_never_cooperate_going_on_are_corrected() -> None:
    found = search(Pretended(fresh=0.8, going_on=0.0), 2)
    assert found.level <= 0.8 < found.above


def test_the_tolerance_is_kept() -> None:
    found = search(Pretended(0.7, 0.7), 2, tolerance=0.004)
    assert found.above - found.level <= 0.004


def test_a_trial_knows_its_mean() -> None:
    selfish, joint = Trial(1.0, True, at(1.0)), Trial(0.5, True, at(3.0))
    assert Found([selfish, joint], 0.5, 1.0).way(Trial(0.7, True, {0: 1.5, 1: 2.5})) == pytest.approx(0.5)


# The empirical game


def always(game: Game, action: int) -> Policy:
    """A policy of networks in which every agent plays `action`."""
    network = {
        "shape": shape_of(game), "beside": 0, "actions": len(game.action_names), "encoder": "mlp", "hidden": (4,),
        "dueling": True,
    }  # fmt: skip
    policy = Policy("q", {"agents": tuple(range(len(game.agents)))}, network)
    with torch.no_grad():
        for parameter in policy.networks.parameters():
            parameter.zero_()
        policy.networks["agents"].advantage.bias[action] = 1.0  # type: ignore[union-attr, index]
    return policy


@pytest.mark.parametrize(
    ("id", "rules", "level", "kept"),
    [
        (PD, {"horizon": 7}, 3 / 4, 3 / 4),
        ("matrix/iterated-prisoners-dilemma", {}, 2 / 3, 2 / 3),
        ("matrix/cyclical-prisoners-dilemma", {"players": 3}, 3 / 5, 3 / 4),
        ("public_goods/iterated-4", {}, 1.6 / 4, 1.6 / 4),
    ],
)
def test_constant_policies_play_the_stage_game(id: str, rules: dict[str, Any], level: float, kept: float) -> None:
    game = make(id, **rules)
    payoffs = empirical_payoffs(game, always(game, 0), always(game, 1), seed=0, episodes=2)
    np.testing.assert_allclose(payoffs, game.payoffs * game.horizon, rtol=1e-5)  # type: ignore[attr-defined]
    assert symmetric_level(payoffs) == pytest.approx(level, abs=1e-5)
    assert least_transfers(payoffs).level == pytest.approx(kept, abs=1e-5)


def test_each_agent_plays_by_its_own_choice() -> None:
    game, asked = make("matrix/symmetrical-prisoners-dilemma", players=3), []

    def actions(of: int) -> Callable[[AgentView], np.ndarray]:
        return lambda seen: asked.append(of) or np.full(seen.observations.shape[:2], of)  # type: ignore[func-returns-value]

    payoffs = empirical_payoffs(game, actions(0), actions(1), seed=0, episodes=1)
    assert asked == [0, 1] * 8
    # agent 2 alone defects: it earns 4, the others 3 from each other and 0 from it, by halves
    np.testing.assert_allclose(payoffs[0, 0, 1], [1.5, 1.5, 4.0])


# The command line

Ran = tuple[int, str, str]  # exit code, stdout, stderr
Paymaster = Callable[..., Ran]
QUICK = ("--set", "steps=16", "--set", "episodes=8", "--workers", 1)


def cooperating_up_to(level: float) -> Any:
    """A stand-in for learning: agents cooperate where they keep `level` of their reward or less."""

    def train_agents(
        game: Game, mechanism: Mechanism, principal: Any, settings: Any, *, seed: int, steps: int,
        resources: Any = None, begin: Any = None, policies: Any = None,
    ) -> unlearned.Learning:  # fmt: skip
        unlearned.calls.append("fresh" if begin is None else "go on")
        own = always(game, int(mechanism.self_interest > level))  # type: ignore[attr-defined]
        return unlearned.Learning(Simulation(game, mechanism, 8, seed=seed, stream=1), own, steps, own)

    return train_agents


@pytest.fixture
def paymaster(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paymaster:
    """Run the command line in an empty folder; agents cooperate up to a level of 0.7."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "paymaster.learning.phases", unlearned)
    monkeypatch.setattr("paymaster.learning.phases", unlearned, raising=False)
    monkeypatch.setattr(unlearned, "train_agents", cooperating_up_to(0.7))
    monkeypatch.setattr(unlearned, "calls", [])

    def ran(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return int(exit.value.code or 0), told.out, told.err

    return ran


def test_the_command_finds_the_level_and_keeps_what_it_found(paymaster: Paymaster, tmp_path: Path) -> None:
    code, out, _ = paymaster("self-interest", PD, *QUICK, "--seeds", 3, "--out", "found")
    assert code == 0
    assert "s* = 0.6905: fresh agents cooperate at 0.6905, and at 0.7143 they do not" in out
    assert "welfare of the seeds is 5.20 or more" in out  # 2 + 0.8 * 4
    assert "by the payoffs of one step: s* = 0.75\n" in out
    assert "by what mixes of agents of the two ends earn: s* = 0.75, g* = 0.75" in out
    assert "transfer-matrix: --set 'matrix=[[0.75, 0.25], [0.25, 0.75]]'" in out
    (record,) = tmp_path.rglob(RECORD)
    assert (record.parent / PICTURE).stat().st_size > 10_000
    kept = json.loads(record.read_text())
    assert (kept["level"], kept["above"]) == (0.6905, 0.7143)
    assert kept["empirical"]["payoffs"] == make(PD).payoffs.tolist()  # type: ignore[attr-defined]
    assert kept["settings"]["policies"] == "separate"
    assert [trial["fresh"] for trial in kept["trials"]] == [True] * 2 + [False] * 6 + [True] * 3
    assert unlearned.calls.count("go on") == 3 * 6
    assert unlearned.calls.count("fresh") == 3 * 5

    unlearned.calls.clear()
    again = paymaster("self-interest", PD, *QUICK, "--seeds", 3, "--out", "found", "--json")
    assert json.loads(again[1]) == kept
    assert unlearned.calls == [], "what was found is not searched for again"


def test_a_matrix_that_was_found_can_be_run(paymaster: Paymaster) -> None:
    out = paymaster("self-interest", PD, *QUICK, "--seeds", 3)[1]
    told = next(line for line in out.splitlines() if "transfer-matrix" in line)
    setting = told.partition("--set '")[2].removesuffix("'")
    from paymaster.benchmarks.specs.overrides import parse_settings
    from paymaster.benchmarks.specs.resolve import resolve
    from paymaster.benchmarks.specs.spec import RunSpec

    resolve(RunSpec(game=PD, mechanism="transfer-matrix", parameters=parse_settings([setting]), steps=1))


def test_a_search_that_was_cut_goes_on(paymaster: Paymaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, made = unlearned.train_agents, 0

    def breaks(*arguments: Any, **named: Any) -> Any:
        nonlocal made
        made += 1
        if made > 9:
            raise FloatingPointError("not finite")
        return whole(*arguments, **named)

    monkeypatch.setattr(unlearned, "train_agents", breaks)
    code, out, err = paymaster("self-interest", PD, *QUICK, "--seeds", 3, "--out", "found")
    assert (code, out) == (1, "")
    assert "FloatingPointError: not finite; the runs that finished stay in found" in err
    assert not [*tmp_path.rglob(RECORD)]
    monkeypatch.setattr(unlearned, "train_agents", whole)
    unlearned.calls.clear()
    assert paymaster("self-interest", PD, *QUICK, "--seeds", 3, "--out", "found")[0] == 0
    learned = [call for call in unlearned.calls if call != "evaluate"]
    assert len(learned) == 3 * 11 - 9


def test_many_agents_have_no_empirical_game(paymaster: Paymaster) -> None:
    code, out, _ = paymaster(
        "self-interest", "public_goods/one-shot-4", "--set", "players=7", "--set", "multiplier=5", *QUICK, "--seeds", 3
    )
    assert code == 0
    assert "too many to play every mix" in out
    assert "by the payoffs of one step: s* = 0.7143" in out  # 5 / 7


def test_no_dilemma_is_told(paymaster: Paymaster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlearned, "train_agents", cooperating_up_to(1.0))
    code, out, _ = paymaster("self-interest", PD, *QUICK, "--seeds", 3)
    assert code == 0
    assert "No social dilemma detected" in out
    record = json.loads(paymaster("self-interest", PD, *QUICK, "--seeds", 3, "--json")[1])
    assert record["level"] is None


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([PD, "--seeds", 2], ["--seeds of 3 or more", "got 2"]),
        ([PD, "--seed", -1], ["--seed of 0 or more", "-1"]),
        ([PD, "--set", "self_interest=0.5"], ["self_interest is what is searched for"]),
        ([PD, "--set", "lr=-1"], ["lr", "-1"]),
        ([PD, "--algorithm", "follow"], ["those of follow cannot"]),
        ([PD, "--algorithm", "pp"], ["'pp'", "Did you mean 'ppo'"]),
        ([PD, "--workers", 0], ["workers", "0"]),
        (["tree/ivanov-d10"], ["rewards go from one agent to another"]),
        (["matrix/prisoner"], ["matrix/prisoner"]),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(
    paymaster: Paymaster, tmp_path: Path, arguments: list[Any], parts: list[str]
) -> None:
    code, out, err = paymaster("self-interest", *arguments)
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1
    for part in parts:
        assert part in err
    assert not [*tmp_path.iterdir()]


# By learning alone


@pytest.mark.slow
@pytest.mark.parametrize(
    ("id", "level"),
    [
        ("matrix/iterated-prisoners-dilemma", 2 / 3),
        ("matrix/prisoners-dilemma", 3 / 4),
        ("public_goods/iterated-4", 1.6 / 4),
    ],
)
def test_learners_find_the_closed_form(
    id: str, level: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["self-interest", id, "--set", "steps=100000", "--out", str(tmp_path / "found"), "--json"])
    assert not exit.value.code
    record = json.loads(capsys.readouterr().out)
    assert record["closed_form"] == pytest.approx(level)
    assert record["level"] == pytest.approx(level, abs=0.05)
    assert record["above"] == pytest.approx(level, abs=0.05)

"""A user's runs beside those of a suite, by `extends` in a file and by `--add`: the suite's own stay what they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from paymaster.benchmarks.runs.launch import specs
from paymaster.benchmarks.runs.schedule import jobs
from paymaster.benchmarks.specs.additions import added
from paymaster.benchmarks.specs.resolve import resolve
from paymaster.benchmarks.specs.suites import Entry, expand, load_suite, suites
from paymaster.core.config import UsageError

from .test_plugin_roles import MINE, PLUGGED, THEIRS

Paymaster = Callable[..., str]
OWN = "{id: mine, mechanism: funded-share, parameters: {share: 0.125}}"
BASE = """
game: matrix/prisoners-dilemma
steps: 400
episodes: 16
seeds: 2
settings: {theirs: {environments: 4}}
runs:
  - {mechanism: selfish, algorithm: theirs}
  - {mechanism: mine, algorithm: theirs, principal: {steps: 30}}
"""


def written(folder: Path, text: str, name: str = "mine.yaml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize("name", suites())
def test_the_runs_of_the_suite_stay_the_same_runs(name: str, tmp_path: Path) -> None:
    """The same specs, and so the same folders: what is finished is never made again."""
    own = expand(load_suite(name), seeds=2)
    for suite in (
        load_suite(written(tmp_path, f"extends: {name}\nsettings: {{mine: {{lr: 1}}}}\nruns: [{OWN}]")),
        added(load_suite(name), ["funded-share/follow"]),
    ):
        found = expand(suite, seeds=2)
        assert [spec for spec in found if spec in own] == own
        (further,) = {spec.mechanism for spec in found if spec not in own}
        assert further == "funded-share"
        assert len(found) == len(own) + 2 * len(suite.variations)


def test_their_folders_are_the_suites_own(tmp_path: Path) -> None:
    path = written(tmp_path, f"extends: coin-3x3\nruns: [{OWN}]")
    own, found = ([job.id for job in jobs(specs(what, seeds=1))] for what in ("coin-3x3", path))
    assert found[:-1] == own
    assert "funded-share" in found[-1]


def test_a_run_of_an_extension_has_the_suites_budget_rules_and_settings(tmp_path: Path) -> None:
    suite = load_suite(written(tmp_path, f"extends: coin-3x3\nseeds: 2\ndescription: Mine\nruns: [{OWN}]"))
    assert (suite.seeds, suite.description) == (2, "Mine")
    *_, mine = expand(suite)
    base = load_suite("coin-3x3")
    assert (mine.game, mine.steps, mine.rules) == ("coin_game/ivanov-3x3", base.steps, {"observation": "mutual"})
    assert mine.settings == base.settings["dqn"]
    assert mine.settings["policies"] == "separate"
    assert (mine.parameters, mine.seed) == ({"share": 0.125}, 1)
    assert load_suite(written(tmp_path, f"extends: coin-3x3\nruns: [{OWN}]")).seeds == load_suite("coin-3x3").seeds


def test_a_run_of_an_extension_refers_to_the_suites_own(tmp_path: Path) -> None:
    runs = """
runs:
  - {mechanism: advice, algorithm: ppo, principal_from: principal-dqn/dqn}
  - {id: same, mechanism: funded-share, parameters: {share: {from: constant-share/same.payment_share}}}
"""
    suite = load_suite(written(tmp_path, f"extends: coin-3x3\nsettings: {{a2c: {{}}}}{runs}"))
    *others, advice, same = expand(suite, seeds=1)
    assert advice.principal_from == others[0]
    assert [source.mechanism for source in same.needs()] == ["constant-share"]


def test_settings_of_principals_are_for_the_roles_that_the_suite_trains(tmp_path: Path) -> None:
    """`nudge` and `due` of quick are margins of Algorithm 3; another principal has none such."""
    runs = "[{mechanism: principal-ppo}, {id: shown, mechanism: principal-dqn, parameters: {shows_pay: true}}]"
    first = written(tmp_path, f"extends: quick\nruns: {runs}", "first.yaml")
    second = written(tmp_path, "extends: first.yaml\nruns: [{mechanism: principal-exact}]", "second.yaml")
    *_, rates, shown = expand(load_suite(first), seeds=1)
    assert rates.principal == {}
    assert shown.principal == load_suite("quick").principal
    assert shown.principal["nudge"] == 0.02
    *before, exact = expand(load_suite(second), seeds=1)
    assert before[-2:] == [rates, shown]
    assert exact.principal == {}
    assert resolve(exact).values["principal"]["nudge"] == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"steps: 5\nruns: [{OWN}]",
            "mine.yaml has the steps of coin-3x3, which it extends, so that their runs are compa",
        ),
        (f"rules: {{}}\nprincipal: {{}}\nruns: [{OWN}]", "comparable: leave rules and principal out; allowed are ext"),
        (f"settings: {{dqn: {{}}}}\nruns: [{OWN}]", "settings of dqn: coin-3x3 has them; give a run its own"),
        (f"settings: {{ppo: {{}}}}\nruns: [{OWN}]", "settings of ppo: coin-3x3 has them"),
        ("runs: [{mechanism: selfish}]", "selfish/dqn is already a run of the suite"),
        (f"runs: [{OWN}, {OWN}]", "mine is already a run"),
        ("runs: []", "runs: "),
        ("seeds: 1", "runs: field required"),
        (f"seeds: 0\nruns: [{OWN}]", "seeds: "),
        (f"step: 5\nruns: [{OWN}]", "step: extra inputs are not permitted"),
        ("runs: [{id: mine, mechanism: advice, principal_from: my}]", "unknown entry of the suite 'my'"),
    ],
)
def test_what_an_extension_may_not_say_is_told(text: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"extends: coin-3x3\n{text}")
    with pytest.raises(UsageError, match=re.escape(message)):
        expand(load_suite(path))


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("coin-3", "unknown suite 'coin-3'. Did you mean 'coin-3x3'"),
        ("none.yaml", "none.yaml cannot be read"),
        ("mine.yaml", "in a circle: {here}/mine.yaml -> {here}/mine.yaml"),
        ("./other.yaml", "in a circle: {here}/mine.yaml -> {here}/other.yaml -> {here}/mine.yaml"),
        ("[a]", "extends: input should be a valid string"),
    ],
)
def test_what_cannot_be_extended_is_told(extends: str, message: str, tmp_path: Path) -> None:
    written(tmp_path, f"extends: mine.yaml\nruns: [{OWN}]", "other.yaml")
    path = written(tmp_path, f"extends: {extends}\nruns: [{OWN}]")
    with pytest.raises(UsageError, match=re.escape(message.format(here=tmp_path))):
        load_suite(path)


@pytest.mark.parametrize(
    ("suite", "name", "entry"),
    [
        ("coin-3x3", "gifting/dqn", None),  # nobody can stay
        ("coin-3x3", "committed-rates", Entry(mechanism="committed-rates", algorithm="dqn")),
        ("coin-frontier-ppo", "selfish", Entry(mechanism="selfish", algorithm="ppo")),
        ("tree", "committed-rates", Entry(mechanism="committed-rates", algorithm="best-response")),
        # A mechanism of the suite: the same contract, met by other agents.
        ("coin-3x3", "advice/ppo", Entry(mechanism="advice", algorithm="ppo", principal_from="principal-dqn/dqn")),
        (
            "coin-frontier",
            "principal-dqn/ppo",
            Entry(mechanism="principal-dqn", algorithm="ppo", principal_from="learned"),
        ),
        ("coin-frontier", "principal-exact/ppo", Entry(mechanism="principal-exact", algorithm="ppo")),
        (
            "contracts-cleanup",
            "principal-ppo/dqn",
            Entry(
                mechanism="principal-ppo",
                algorithm="dqn",
                parameters={"every": 50},
                principal_from="principal-ppo/ppo",
            ),
        ),
    ],
)
def test_what_a_name_adds(suite: str, name: str, entry: Entry | None) -> None:
    if entry is None:
        with pytest.raises(UsageError, match=f"--add {name}: gifting is not for {load_suite(suite).game}: an agent"):
            added(load_suite(suite), [name])
        return
    more = added(load_suite(suite), [name])
    assert more.runs[-1] == entry
    assert resolve(expand(more, seeds=1)[-1]).spec.algorithm == entry.algorithm


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["coin-3x3", "--add", "selfsh"], "--add selfsh: unknown mechanism 'selfsh'. Did you mean 'selfish'?"),
        (["coin-3x3", "--add", "joint/dq"], "--add joint/dq: unknown algorithm 'dq'. Did you mean 'dqn'?"),
        (
            ["coin-3x3", "--add", "joint"],
            "--add joint: the suite runs joint with dqn already, as joint/dqn, joint/total; other par",
        ),
        (["coin-3x3", "--add", "joint/ppo", "--add", "joint/ppo"], "runs joint with ppo already, as joint/ppo"),
        (["contracts-cleanup", "--add", "committed-rates"], "already, as wage/best, wage/low"),
        (["coin-3x3", "--add", "gifting"], "--add gifting: gifting is not for coin_game/ivanov-3x3: "),
        (["coin-3x3", "--add", "joint/follow"], "recommends nothing that agents could follow"),
        (["coin_game/ivanov-3x3", "--add", "joint"], "--add is for a suite (got coin_game/ivanov-3x3)"),
        (["run.json", "--add", "joint"], "--add is for a suite (got run.json)"),
        (["mine.yaml"], "mine.yaml has the episodes of coin-3x3, which it extends"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(
    arguments: list[str], message: str, paymaster: Paymaster, tmp_path: Path
) -> None:
    written(tmp_path, f"extends: coin-3x3\nepisodes: 5\nruns: [{OWN}]")
    told = paymaster("run", *arguments, code=2)
    assert told.startswith("paymaster: ")
    assert len(told.splitlines()) == 1
    assert message in told
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_runs_of_ones_own_stand_beside_those_of_a_suite(paymaster: Paymaster, tmp_path: Path) -> None:
    for name, text in {"mine.py": MINE, "theirs.py": THEIRS, "base.yaml": BASE}.items():
        written(tmp_path, text, name)
    written(tmp_path, "extends: base.yaml\nruns: [{id: half, mechanism: joint, algorithm: theirs}]", "more.yaml")
    options = ("--workers", 1, "--out", "runs", *PLUGGED)
    assert "4 runs, 1 at a time" in paymaster("run", "base.yaml", *options)
    assert "6 runs, 4 of them already made" in paymaster("run", "more.yaml", *options)
    told = paymaster("run", "more.yaml", "--add", "prosocial", "--add", "mine/follow", "--seeds", 1, *options)
    assert "5 runs, 3 of them already made" in told
    assert "prosocial/theirs s0: welfare" in told
    assert "mine/follow s0: welfare 6.00, payment 3.00" in told  # the principal of mine/theirs, obeyed

"""`paymaster tune`: as many trials for every mechanism, the suite's own settings first, on seeds of their own."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from paymaster import UsageError
from paymaster.baselines import OWN, mechanism_class
from paymaster.benchmarks.analysis.tuning import Search, Trial, best, changed, space_of, tunable
from paymaster.benchmarks.cli.app import main
from paymaster.benchmarks.provenance import ROOT
from paymaster.benchmarks.specs.resolve import resolve
from paymaster.benchmarks.specs.suites import Suite, expand, load_suite, suites
from paymaster.core.config import stored_names
from paymaster.core.search_space import Range
from paymaster.learning import principal_class

from .. import unlearned

SUITE = """
game: matrix/prisoners-dilemma
steps: 800
episodes: 16
seeds: 2
runs:
  - {mechanism: selfish}
  - {mechanism: prosocial, parameters: {eta: 0.25}}
  - {mechanism: principal-dqn, principal: {steps: 400, margin: 0.05}}
  - {mechanism: principal-dqn, algorithm: ppo, principal_from: principal-dqn/dqn}
  - {id: same, mechanism: funded-share, parameters: {share: {from: principal-dqn/dqn.payment_share}}}
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "paymaster.learning.phases", unlearned)
    monkeypatch.setattr("paymaster.learning.phases", unlearned, raising=False)
    monkeypatch.setattr(unlearned, "calls", [])
    path = tmp_path / "mine.yaml"
    path.write_text(SUITE)
    return path


def tune(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit:
        main(["tune", *map(str, arguments)])
    return int(exit.value.code or 0)


def test_every_mechanism_gets_as_many_trials_and_the_first_is_the_suites_own(suite: Path, capsys: Any) -> None:
    assert tune(suite, "--trials", 5, "--seeds", 2, "--workers", 1) == 0
    rows = list(csv.DictReader(io.StringIO(Path("results/tuning/mine.csv").read_text())))
    assert [(row["entry"], int(row["number"])) for row in rows] == [
        (name, number) for name in ("principal-dqn/dqn", "prosocial/dqn") for number in range(5)
    ]
    own = {row["entry"]: json.loads(row["values"]) for row in rows if row["number"] == "0"}
    assert own["prosocial/dqn"] == {"parameters.eta": 0.25}
    assert own["principal-dqn/dqn"]["principal.nudge"] == 0.05
    assert {row["runs"] for row in rows} == {"2"}
    for row in rows:  # welfare / 0.1 - payment
        assert float(row["score"]) == pytest.approx(float(row["welfare"]) / 0.1 - float(row["payment"]))
    for name in own:
        scores = [float(row["score"]) for row in rows if row["entry"] == name]
        (chosen,) = (float(row["score"]) for row in rows if row["entry"] == name and row["best"] == "1")
        assert chosen == max(scores)
    about = json.loads(Path("results/tuning/mine.json").read_text())
    assert (about["trials_each"], about["seeds"], about["first_seed"], about["score"]) == (5, 2, 100, "utility")
    records = [json.loads(path.read_text()) for path in Path("runs/tuning/mine").rglob("run.json")]
    assert {each["resolved"]["seed"] for each in records} == {100, 101}
    assert {each["resolved"]["steps"] for each in records} == {200}, "a quarter of the budget"
    principals = [each["resolved"]["principal"] for each in records if each["resolved"]["mechanism"] == "principal-dqn"]
    assert {each["steps"] for each in principals} == {100}, "a quarter of the principal's own"
    assert "prosocial/dqn" in capsys.readouterr().out


def test_a_search_that_was_cut_goes_on_with_the_same_trials(suite: Path) -> None:
    tune(suite, "--trials", 6, "--workers", 1)
    table = Path("results/tuning/mine.csv")
    first, calls = table.read_text(), len(unlearned.calls)
    table.unlink()
    tune(suite, "--trials", 6, "--workers", 1)
    assert table.read_text() == first
    assert len(unlearned.calls) == calls, "no run is made again"


def test_an_entry_with_steps_of_its_own_is_tried_at_a_quarter_of_them() -> None:
    longer = {"id": "longer", "mechanism": "prosocial", "steps": 1200}
    values = {"game": "matrix/prisoners-dilemma", "steps": 800, "runs": [{"mechanism": "selfish"}, longer]}
    suite = Suite.model_validate(values)
    ((_, _, _, runs),) = Search(suite, suite.runs[1], 2).ask(1, 1)
    assert [run.spec.steps for run in runs] == [300]


def test_what_other_runs_give_is_not_searched_for() -> None:
    suite = load_suite("coin-3x3")
    names = [entry.name for entry in tunable(suite)]
    assert "principal-dqn/dqn" in names
    assert "inequity-aversion/dqn" in names
    assert not {"selfish/dqn", "principal-dqn/ppo", "constant-share/same", "funded-share/same"} & set(names)


def test_the_space_of_rates_and_prices_is_the_games() -> None:
    wages = {"mechanism": "committed-rates", "parameters": {"rates": {"cleaned": 0.65}}}
    values = {"game": "cleanup/lio-7x7", "steps": 8, "runs": [wages, {"mechanism": "formal-contract"}]}
    suite = Suite.model_validate(values)
    wage, contract = suite.runs
    assert space_of(suite, contract) == {"parameters.theta": Range(0.0, 1.0)}
    search = Search(suite, wage, 2)
    assert list(search.space) == ["parameters.rates.cleaned"]
    (_, _, own, _), (_, _, tried, (run,)) = search.ask(2, 1)
    assert own == {"parameters.rates.cleaned": 0.65}
    assert run.spec.parameters == {"rates": {"cleaned": tried["parameters.rates.cleaned"]}}


def test_what_is_searched_for_is_a_setting_and_holds_values_that_are_allowed() -> None:
    for id in OWN:
        cls = mechanism_class(id)
        role = principal_class(cls)
        for owner in filter(None, (cls, role)):
            for name, space in owner.tuned.items():
                assert name in stored_names(owner).values() or name in stored_names(owner)
                assert not isinstance(space, Range) or space.low < space.high
    for name in suites():
        suite = load_suite(name)
        for entry in suite.runs:
            for path, space in space_of(suite, entry).items():
                for value in (space.low, space.high) if isinstance(space, Range) else space:
                    runs = tuple(changed(each, {path: value}) if each is entry else each for each in suite.runs)
                    specs = expand(suite.model_copy(update={"runs": runs}), seeds=1)
                    resolve(specs[suite.runs.index(entry)])


def test_the_suites_own_settings_stay_where_nothing_is_better() -> None:
    trials = [
        Trial("a", 0, {}, 2.0, 0, 0, 1),
        Trial("a", 1, {"x": 1}, 2.0, 0, 0, 1),
        Trial("b", 0, {}, float("nan"), 0, 0, 1),
    ]
    trials += [Trial("b", 1, {}, 1.0, 0, 0, 1), Trial("a", 2, {}, float("nan"), 0, 0, 0)]
    assert {name: trial.number for name, trial in best(trials).items()} == {"a": 0, "b": 1}


@pytest.mark.parametrize("table", sorted((ROOT / "results" / "tuning").glob("*.csv")), ids=lambda table: table.stem)
def test_a_suite_has_the_settings_that_its_search_found_best(table: Path) -> None:
    suite = load_suite(table.stem)
    with table.open() as lines:
        found = {row["entry"]: json.loads(row["values"]) for row in csv.DictReader(lines) if row["best"] == "1"}
    assert found == {entry.name: Search(suite, entry, 2).own for entry in tunable(suite)}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("quick", "--trials", 1), "--trials of 2 or more"),
        (("quick", "--seeds", 0), "--seeds of 1 or more"),
        (("qick",), "Did you mean 'quick'"),
        (("quick", "--out", "trials.json"), "written to a .csv"),
    ],
)
def test_mistakes_are_told_before_anything_is_made(
    arguments: tuple[object, ...], told: str, suite: Path, capsys: Any
) -> None:
    assert tune(*arguments) == 2
    assert told in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_suite_without_settings_has_nothing_to_search_for(suite: Path) -> None:
    suite.write_text("{game: matrix/prisoners-dilemma, steps: 8, runs: [{mechanism: selfish}, {mechanism: joint}]}")
    with pytest.raises(UsageError, match="nothing to search for"):
        tunable(load_suite(str(suite)))

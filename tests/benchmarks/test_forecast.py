"""What runs are expected to take, the order in which they start, and `--dry-run`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from paymaster.benchmarks.runs import forecast
from paymaster.benchmarks.runs.forecast import duration, expected_seconds, longest_first, wall_seconds
from paymaster.benchmarks.runs.launch import Plan
from paymaster.benchmarks.runs.schedule import Job, jobs
from paymaster.benchmarks.specs.suites import Suite, expand, load_suite

Paymaster = Callable[..., str]
PRINCIPAL, SELFISH = "principal-dqn/dqn", "selfish/dqn"
SUITE = {
    "game": "coin_game/ivanov-3x3", "steps": 100,
    "runs": [
        {"mechanism": "selfish"},
        {"mechanism": "principal-dqn", "principal": {"steps": 300}},
        {"mechanism": "advice", "principal_from": PRINCIPAL},
    ],
}  # fmt: skip


def asked(seeds: int = 1) -> list[Job]:
    return jobs(expand(Suite.model_validate(SUITE), seeds=seeds))


def finished(job: Job, out: Path, **seconds: float) -> None:
    folder = out / job.id
    folder.mkdir(parents=True)
    about = {"run": job.id, "spec": {}, "resolved": job.run.values, "variant": job.run.variant, "seconds": seconds}
    about["steps"] = {"validate": job.run.spec.steps}
    (folder / "run.json").write_text(json.dumps(about))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder for runs, where there are no reference tables."""
    monkeypatch.setattr(forecast, "ROOT", tmp_path)
    return tmp_path / "runs"


def test_a_run_takes_what_runs_like_it_took_for_each_step(alone: Path) -> None:
    selfish, principal, advice, *later = asked(2)
    assert expected_seconds([selfish], alone) == {}
    finished(selfish, alone, validate=9.0, evaluate=1.0)  # 0.1 s a step
    found = expected_seconds([principal, advice, *later], alone)
    assert found == pytest.approx({advice.id: 10.0, later[0].id: 10.0, later[2].id: 10.0})  # none trained a principal
    finished(principal, alone, train=6.0, validate=2.0)  # 0.02 s a step
    assert expected_seconds([advice, later[1]], alone) == pytest.approx({advice.id: 10.0, later[1].id: 8.0})
    (wide,) = jobs(expand(Suite.model_validate({**SUITE, "settings": {"dqn": {"hidden": [512]}}}), seeds=1)[:1])
    assert expected_seconds([wide], alone) == {}, "other networks take other times"
    (alone / selfish.id / "run.json").write_text("{")
    assert later[0].id not in expected_seconds(later, alone), "a damaged run tells nothing"


def test_runs_in_which_nothing_learns_take_the_time_that_they_take(alone: Path) -> None:
    """Their steps are none, whatever the budget of the suite; a principal's training counts by its steps."""
    runs = [{"mechanism": "principal-exact"}, {"id": "longer", "mechanism": "principal-exact", "steps": 900}]
    changes = {"runs": [{**run, "algorithm": "follow"} for run in runs]}
    first, longer = jobs(expand(Suite.model_validate({**SUITE, **changes}), seeds=1))
    finished(first, alone, evaluate=3.0)
    about = json.loads((alone / first.id / "run.json").read_text())
    (alone / first.id / "run.json").write_text(json.dumps({**about, "steps": {"evaluate": 5}}))
    assert expected_seconds([longer], alone) == {longer.id: 3.0}


def test_reference_tables_tell_the_times_of_what_is_made_for_the_first_time(tmp_path: Path) -> None:
    todo = jobs(expand(load_suite("coin-3x3"), seeds=1))
    found = expected_seconds(todo, tmp_path)
    assert all(10.0 < found[job.id] < 3600.0 for job in todo)


def test_the_longest_starts_first_within_a_seed_and_nothing_before_what_it_needs() -> None:
    all_jobs = asked(2)
    selfish, principal, advice = all_jobs[:3]
    for long, expected in (
        (selfish, [selfish, principal, advice]), (advice, [principal, advice, selfish]),
        (principal, [principal, selfish, advice]),
    ):  # fmt: skip
        seconds = {job.id: 10.0 if job.run.variant == long.run.variant else 1.0 for job in all_jobs}
        found = longest_first(all_jobs, seconds)
        assert [job.id for job in found[:3]] == [job.id for job in expected]
        assert {job.run.spec.seed for job in found[3:]} == {1}
    assert longest_first(all_jobs, {})[0].id == principal.id


@pytest.mark.parametrize(("workers", "wall"), [(1, 9.0), (2, 6.0), (3, 6.0)])
def test_the_time_of_all_runs_is_that_of_starting_each_in_its_turn(workers: int, wall: float) -> None:
    selfish, principal, advice = asked()
    assert wall_seconds([principal, selfish, advice], dict(zip(
        (principal.id, selfish.id, advice.id), (4.0, 3.0, 2.0), strict=True,
    )), workers) == wall  # fmt: skip


def test_times_are_told_as_a_person_does() -> None:
    assert [duration(each) for each in (0.0, 90.0, 150.0, 3600.0, 9000.0, 90_000.0)] == [
        "1 second", "90 seconds", "2.5 minutes", "60 minutes", "2.5 hours", "25 hours",
    ]  # fmt: skip


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(paymaster: Paymaster, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(json.dumps(SUITE | {"seeds": 3}))
    told = paymaster("run", "mine.yaml", "--dry-run", "--workers", 1)
    lines = [line.split() for line in told.splitlines()]
    assert [SELFISH, "0", "to", "2", "100"] in [line[:5] for line in lines]
    assert [PRINCIPAL, "0", "to", "2", "100", "300"] in [line[:6] for line in lines]
    assert "9 runs, 1 at a time, in runs/mine" in told
    assert "on more cores" not in told, "how long they take is not known"
    assert not (tmp_path / "runs").exists()
    assert "the number of workers must be" in paymaster("run", "mine.yaml", "--dry-run", "--workers", 1000, code=2)


def test_how_long_runs_take_on_larger_machines_is_told_as_far_as_they_are_sooner_made(tmp_path: Path) -> None:
    all_jobs = asked(12)
    seconds = {job.id: 3600.0 for job in all_jobs}  # 36 hours; 12 of the jobs wait for another
    hour = Plan(tmp_path, all_jobs, longest_first(all_jobs, seconds), seconds)
    assert hour.elsewhere == "on more cores of this kind: 8 at a time 5.0 hours, 32 at a time 2.0 hours"
    assert hour._replace(seconds={}).elsewhere == ""
    assert hour._replace(todo=all_jobs[:1]).elsewhere == ""

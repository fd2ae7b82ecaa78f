"""Many runs: in order, as tasks of Ray, through failures and lost workers. Nothing is learned in most of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray

from paymaster.benchmarks.provenance import cores
from paymaster.benchmarks.runs import schedule
from paymaster.benchmarks.runs.launch import run_suite
from paymaster.benchmarks.runs.record import read_episodes
from paymaster.benchmarks.runs.run import Progress
from paymaster.benchmarks.runs.schedule import Event, Job, check_workers, connected, jobs, run_all
from paymaster.benchmarks.specs.resolve import Resolved, Sources, resolve
from paymaster.benchmarks.specs.spec import RunSpec
from paymaster.core.config import UsageError

GAME = "coin_game/ivanov-3x3"
needs_two = pytest.mark.skipif(cores() < 2, reason="needs two cores")


@pytest.fixture(scope="module")
def two_workers() -> Iterator[int]:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with connected(2, None, count=2) as workers:
        yield workers


IDS = ("a", "b", "c", "d", "broken", "mistaken", "lost", "dying")  # each job's by its seed


def named(id: str, *sources: str) -> Resolved:
    run = resolve(RunSpec(game=GAME, mechanism="selfish", steps=1, seed=IDS.index(id)))
    return run._replace(folder=id, sources=Sources(parameters={source: named(source) for source in sources}))


def job(id: str, *needs: str) -> Job:
    return Job(named(id, *needs))


def pretend(run: Resolved, out: Path) -> Iterator[Progress]:
    """Leave a file named as the job; do what its name says."""
    id = IDS[run.spec.seed]
    with (out / f"{id}.tries").open("a") as file:
        file.write("x")
    yield Progress("validate", 1, 2, 3.0, 4.0)
    if id == "mistaken":
        raise UsageError("a mistake of the user's")
    if id == "broken":
        raise FloatingPointError("not finite")
    if id == "dying" or (id == "lost" and len(_tries(out, id)) == 1):
        os._exit(1)
    time.sleep(0.1)
    (out / id).write_text(str(time.time()))


def _tries(out: Path, id: str) -> str:
    return (out / f"{id}.tries").read_text()


def _kinds(events: list[Event], id: str) -> list[str]:
    return [event.kind for event in events if event.job.id == id]


def _errors(events: list[Event]) -> dict[str, str]:
    return {event.job.id: event.error for event in events if event.kind == "failed"}


WANTED = [job("a"), job("broken"), job("b", "a"), job("c", "broken"), job("d", "c"), job("mistaken")]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=needs_two)])
def test_a_failure_takes_along_those_that_need_it_and_no_other(
    workers: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if workers > 1:
        request.getfixturevalue("two_workers")
    events = list(run_all(WANTED, tmp_path, pretend, workers=workers))
    assert _kinds(events, "a") == _kinds(events, "b") == ["started", "progressed", "finished"]
    errors = _errors(events)
    assert errors.keys() == {"broken", "c", "d", "mistaken"}
    assert errors["broken"] == "FloatingPointError: not finite"
    (trace,) = (event.trace for event in events if event.error == errors["broken"])
    assert "in pretend" in trace  # where it broke
    assert errors["mistaken"] == "a mistake of the user's"
    assert errors["c"] == "not made, because it needs broken"
    assert not (tmp_path / "d.tries").exists()
    assert float((tmp_path / "a").read_text()) < float((tmp_path / "b").read_text())
    assert next(event.progress for event in events if event.kind == "progressed") == ("validate", 1, 2, 3.0, 4.0)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=needs_two)])
def test_what_is_needed_and_was_made_before_is_not_waited_for(
    workers: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if workers > 1:
        request.getfixturevalue("two_workers")
    for event in run_all([job("b", "a"), job("c", "b", "a")], tmp_path, pretend, workers=workers):
        assert event.kind in ("started", "progressed", "finished")
    assert (tmp_path / "c").exists()


@needs_two
def test_a_lost_worker_costs_its_run_one_retry_and_nothing_else(two_workers: int, tmp_path: Path) -> None:
    wanted = [job("lost"), job("dying"), job("a"), job("b", "lost")]
    events = list(run_all(wanted, tmp_path, pretend, workers=two_workers))
    assert _kinds(events, "lost") == ["started", "progressed", "lost", "started", "progressed", "finished"]
    assert _kinds(events, "a")[-1] == _kinds(events, "b")[-1] == "finished"
    assert _tries(tmp_path, "dying") == _tries(tmp_path, "lost") == "xx"
    assert "worker was lost" in _errors(events)["dying"]


def test_one_worker_needs_no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "init", pytest.fail)
    with connected(1, None, count=10) as workers:
        assert workers == 1
    with connected(None, None, count=1) as workers:
        assert workers == 1


def test_more_workers_than_runs_are_as_many_as_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | None] = []
    monkeypatch.setattr(schedule, "cores", lambda: 4)
    monkeypatch.setattr(schedule, "_connect", lambda address, num_cpus: asked.append(num_cpus))
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with connected(4, None, count=3) as workers:
        assert workers == 3
    assert asked == [3]


@pytest.mark.parametrize("workers", [0, -1, cores() + 1])
def test_more_workers_than_cores_are_refused(workers: int) -> None:
    with pytest.raises(UsageError, match=f"from 1 to {cores()}, .*got {workers}"):
        check_workers(workers, cores())


def test_runs_with_remote_actors_need_cores_for_them() -> None:
    assert check_workers(2, 6, each=3) == 2
    with pytest.raises(UsageError, match=r"from 1 to 2, since there are 6 cores, 3 a run .got 3"):
        check_workers(3, 6, each=3)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere.invalid:6379", "127.0.0.1:door"])
def test_a_cluster_that_does_not_answer_is_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UsageError, match=f"no Ray cluster answers at '{address}'"), connected(1, address, count=1):
        pass


def test_a_run_that_several_need_is_one_job() -> None:
    principal = RunSpec(game=GAME, mechanism="principal-dqn", steps=100)
    others = [
        RunSpec(game=GAME, mechanism=mechanism, principal_from=principal, algorithm=algorithm, steps=100)
        for mechanism, algorithm in (("advice", "dqn"), ("principal-dqn", "ppo"))
    ]
    first, *rest = jobs(others)
    assert first.name == "principal-dqn/dqn s0"
    assert [each.needs for each in rest] == [(first.id,)] * 2


LEARNED = """
game: coin_game/ivanov-3x3
steps: 1500
episodes: 16
seeds: 1
settings: {dqn: {warm_up: 200, batch: 32, environments: 16, replay: 1000}}
principal: {steps: 1500, warm_up: 200, batch: 32, environments: 16, replay: 1000}
runs:
  - {mechanism: principal-dqn}
  - {mechanism: funded-share}
"""


@needs_two
def test_rllib_learns_in_two_workers(tmp_path: Path) -> None:
    """The whole way, with nothing pretended."""
    (tmp_path / "learned.yaml").write_text(LEARNED)
    principal, share = run_suite(tmp_path / "learned.yaml", out=tmp_path / "out", workers=2)
    rows = read_episodes(principal.folder)
    assert rows["phase"].unique().tolist() == ["train", "validate", "evaluate"]
    assert 0 <= principal.compliance <= 1
    paid = read_episodes(share.folder, "evaluate")
    np.testing.assert_allclose(paid["principal_payment"], 0.5 * paid["welfare"].clip(lower=0), atol=1e-4)
    for name in ("policy.safetensors", "principal.safetensors", "replay.npz", "training.parquet"):
        assert (principal.folder / name).is_file()

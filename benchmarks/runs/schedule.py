"""Schedules runs: each starts after those on which it depends, in this process or as a task of Ray."""

from __future__ import annotations

import os
import socket
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...core.config import UsageError
from ...core.registry import reason
from ...core.stopping import keeps_sigterm
from ..provenance import cores
from ..specs.plugins import Registered, register, registered
from ..specs.resolve import Resolved, resolve
from ..specs.spec import RunSpec
from .run import Progress

if TYPE_CHECKING:
    from ray import ObjectRefGenerator

Execute = Callable[[Resolved, Path], Iterator[Progress]]  # makes one run; a second call returns at once
ANSWER = 10  # seconds within which a cluster must answer
TRIES = 2  # attempts at a run whose worker was lost


class Job(NamedTuple):
    """A run to be made."""

    run: Resolved
    apart: str = ""  # what tells it from other jobs that have its label and seed

    @property
    def id(self) -> str:
        """The run's folder, relative to the folder of results."""
        return self.run.folder

    @property
    def name(self) -> str:
        """The mechanism, the algorithm and the seed, as text."""
        return f"{self.run.label} s{self.run.spec.seed}{self.apart}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The ids of the jobs that must be finished first."""
        return tuple(source.folder for source in self.run.sources.all())


class Event(NamedTuple):
    """A change in the state of a job. A job that was lost with its worker is tried again."""

    kind: str  # "started", "progressed", "finished", "lost", "failed"
    job: Job
    progress: Progress | None = None
    error: str = ""  # one sentence
    trace: str = ""  # the traceback of an error that is no mistake of the user's


class RunFailedError(Exception):
    """A run failed: a sentence and, unless the user made a mistake, a traceback. Both reach other processes."""

    def __init__(self, sentence: str, trace: str = "") -> None:
        super().__init__(sentence, trace)
        self.sentence, self.trace = sentence, trace


def jobs(specs: Iterable[RunSpec]) -> list[Job]:
    """The jobs of the specs and of their sources, without repetition; a job stands behind those that it needs.

    Raises UsageError for an invalid spec, before anything is written.
    """
    found: dict[str, Job] = {}
    known: dict[str, Resolved] = {}

    def add(run: Resolved) -> None:
        for source in run.sources.all():
            add(source)
        found.setdefault(run.folder, Job(run))

    for spec in specs:
        add(resolve(spec, known))
    count = Counter(job.name for job in found.values())
    return [
        job if count[job.name] == 1 else job._replace(apart=f" ({job.run.spec.steps:,} steps)")
        for job in found.values()
    ]


def check_workers(workers: int, cores: int, each: int = 1) -> int:
    """`workers`, if there are cores for so many runs of `each` cores. Raises UsageError otherwise."""
    most = max(1, cores // each)
    if not 1 <= workers <= most:
        there = f"{cores}, the cores there are" if each == 1 else f"{most}, since there are {cores} cores, {each} a run"
        raise UsageError(f"the number of workers must be from 1 to {there} (got {workers})")
    return workers


def at_a_time(workers: int | None, *, count: int, each: int = 1) -> int:
    """How many of `count` runs of `each` cores this machine makes at a time; None: as many as it has cores for.

    Raises UsageError for more workers than that.
    """
    most = max(1, cores() // each)
    return min(check_workers(most if workers is None else workers, cores(), each), max(count, 1))


def run_all(jobs: list[Job], out: Path, execute: Execute, *, workers: int) -> Iterator[Event]:
    """Make all runs, at most `workers` at a time: one worker is this process, several are tasks of Ray.

    A source that is not among the `jobs` is already made. The runs that depend on a failed run fail too, and no others.
    For more than one worker Ray must be connected (`connected`).
    """
    if workers == 1:
        yield from _in_order(jobs, out, execute)
    else:
        yield from _as_tasks(jobs, out, execute, workers)


@contextmanager
def connected(workers: int | None, address: str | None, *, count: int, each: int = 1) -> Iterator[int]:
    """Connect to Ray's cluster at `address`, or start a local one for several workers; yields the number of workers.

    By default there are as many workers as the cores allow, at up to `each` cores a run, and no more than the `count`
    of runs. Raises UsageError for more workers than the cores allow, and where no cluster answers.
    """
    wanted = at_a_time(workers, count=count, each=each) if address is None else 0
    if wanted == 1:
        yield 1
        return
    import ray

    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ours = not ray.is_initialized()
    if ours:
        _connect(address, wanted * each or None)
    try:
        if ours and wanted:
            yield wanted
            return
        available = int(ray.cluster_resources().get("CPU", 0))
        most = max(1, available // each)
        yield check_workers(min(most, max(count, 1)) if workers is None else workers, available, each)
    finally:
        if ours:
            ray.shutdown()


@keeps_sigterm()
def _connect(address: str | None, num_cpus: int | None) -> None:
    import ray

    if address is None:
        ray.init(num_cpus=num_cpus, include_dashboard=False, log_to_driver=False, logging_level="error")
        return
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"no Ray cluster answers at {address!r}: {error}; start one with `ray start --head`") from None


def _knock(address: str) -> None:
    """Raise OSError where no server listens at host:port; Ray itself would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=ANSWER).close()


def _in_order(jobs: list[Job], out: Path, execute: Execute) -> Iterator[Event]:
    failed: set[str] = set()
    for job in jobs:
        if failed & set(job.needs):
            failed.add(job.id)
            yield _left_out(job, failed)
            continue
        yield Event("started", job)
        try:
            for progress in _made(execute, job.run, out):
                yield Event("progressed", job, progress)
        except RunFailedError as error:
            failed.add(job.id)
            yield Event("failed", job, error=error.sentence, trace=error.trace)
        else:
            yield Event("finished", job)


def _as_tasks(jobs: list[Job], out: Path, execute: Execute, workers: int) -> Iterator[Event]:
    import ray

    task = ray.remote(num_cpus=1, max_retries=0, num_returns="streaming")(_task)
    waiting = deque(jobs)
    running: dict[ObjectRefGenerator, Job] = {}
    finished = {need for job in jobs for need in job.needs} - {job.id for job in jobs}
    failed, tries = set[str](), dict[str, int]()
    while waiting or running:
        for job in list(waiting):
            if failed & set(job.needs):
                waiting.remove(job)
                failed.add(job.id)
                yield _left_out(job, failed)
        for job in [job for job in waiting if finished.issuperset(job.needs)][: workers - len(running)]:
            waiting.remove(job)
            running[task.remote(execute, job.run.spec, out.absolute(), registered())] = job
            tries[job.id] = tries.get(job.id, 0) + 1
            yield Event("started", job)
        ready = ray.wait(list(running), timeout=1.0)[0] if running else []
        for stream in ready:
            event = _next(stream, running[stream])
            if event.kind == "lost" and tries[event.job.id] < TRIES:
                waiting.appendleft(event.job)
            elif event.kind in ("lost", "failed"):
                event = event._replace(kind="failed")
                failed.add(event.job.id)
            elif event.kind == "finished":
                finished.add(event.job.id)
            if event.kind != "progressed":
                del running[stream]
            yield event


def _next(stream: ObjectRefGenerator, job: Job) -> Event:
    """The next event of a running task."""
    import ray

    try:
        return Event("progressed", job, ray.get(next(stream)))
    except StopIteration:
        return Event("finished", job)
    except ray.exceptions.RayTaskError as error:
        known = isinstance(error.cause, RunFailedError)
        cause = error.cause if known else RunFailedError(str(error).splitlines()[-1], str(error))
        return Event("failed", job, error=cause.sentence, trace=cause.trace)
    except ray.exceptions.RayError as error:
        return Event("lost", job, error=f"its worker was lost ({type(error).__name__})")


def _task(execute: Execute, spec: RunSpec, out: Path, classes: Registered) -> Iterator[Progress]:
    """Make one run in a process of its own."""
    register(classes)
    yield from _made(execute, resolve(spec), out)


def _made(execute: Execute, run: Resolved, out: Path) -> Iterator[Progress]:
    """Make one run. Raises RunFailedError, which names the line of a plugin in which it failed, for any error in it."""
    try:
        yield from execute(run, out)
    except UsageError as error:
        raise RunFailedError(str(error)) from None
    except (Exception, SystemExit) as error:
        parts = (run.mechanism.game, run.mechanism, run.agents, run.principal)
        packages = {type(part).__module__.partition(".")[0] for part in parts} - {"paymaster"}
        if isinstance(error, SystemExit) and not packages:
            raise
        trace = "".join(traceback.format_exception(error)).rstrip()
        raise RunFailedError(reason(error, packages), trace) from None


def _left_out(job: Job, failed: set[str]) -> Event:
    return Event("failed", job, error=f"not made, because it needs {', '.join(sorted(failed & set(job.needs)))}")

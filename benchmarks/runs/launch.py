"""Launches the runs that a user asks for: a suite, a single game, or the run in a run.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console

from ...core.config import UsageError, did_you_mean, require
from ...envs import FAMILIES, games
from .. import files
from ..provenance import command, cores
from ..specs.additions import added
from ..specs.overrides import override, parse_settings
from ..specs.spec import DEFAULT_STEPS, RunSpec
from ..specs.suites import expand, load_suite, suites
from .forecast import duration, expected_seconds, longest_first, wall_seconds
from .progress import show
from .record import read_run_spec
from .run import Result, perform, result
from .schedule import Event, Job, connected, jobs, run_all

if TYPE_CHECKING:
    from ...learning.settings import Resources


CLUSTERS = (8, 32, 128)  # runs at a time


class RunsMade(NamedTuple):
    """The outcome of the runs that a user asked for."""

    out: Path  # the folder of results
    folders: list[Path]  # the folders of the finished runs, in the order of the suite
    failures: list[Event]  # the failures of the other runs


def run_suite(
    what: str | Path, *, out: str | Path | None = None, seeds: int | None = None, seed: int | None = None,
    workers: int | None = None, address: str | None = None, add: Sequence[str] = (), **settings: object,
) -> list[Result]:  # fmt: skip
    """Make the runs of a suite, or of a YAML file, and return their results in the suite's order.

    The keywords are those of `paymaster run`; `settings` takes the keys of `--set`. Raises UsageError for a mistake,
    and RuntimeError where a run failed; the other runs are finished by then.
    """
    asked = plan(
        str(what), out=None if out is None else Path(out), seeds=seeds, seed=seed, add=add,
        settings=[f"{key}={json.dumps(value)}" for key, value in settings.items()],
    )  # fmt: skip
    made = make_runs(asked, console=Console(highlight=False, quiet=True), workers=workers, address=address)
    if made.failures:
        raise RuntimeError("\n".join(f"{event.job.name}: {event.trace or event.error}" for event in made.failures))
    return [result(folder) for folder in made.folders]


class Plan(NamedTuple):
    """The runs that a user asked for, before any is made."""

    out: Path  # the folder of results
    wanted: list[Job]  # in the order of the suite
    todo: list[Job]  # those that are not made yet, in the order in which they start
    seconds: dict[str, float]  # what they are expected to take, by id, as far as runs like them are known

    @property
    def each(self) -> int:
        """The most cores that a run takes."""
        return max((job.run.resources.cores for job in self.todo), default=1)

    def told(self, workers: int) -> str:
        """A line on the runs, and on how long they take where that is known."""
        done, time = len(self.wanted) - len(self.todo), ""
        if self.todo and len(self.seconds) == len(self.todo):
            wall = wall_seconds(self.todo, self.seconds, workers)
            work = sum(self.seconds[job.id] * job.run.resources.cores for job in self.todo)
            time = f": about {duration(wall)}, {work / 3600:.1f} core-hours, by runs like them"
        elif self.seconds:
            time = f"; how long {len(self.todo) - len(self.seconds)} of them take is not known"
        already = f", {done} of them already made" if done else ""
        return f"{len(self.wanted)} runs{already}, {workers} at a time, in {self.out}{time}"

    @property
    def elsewhere(self) -> str:
        """A line on how long the runs take on larger machines; empty where that is not known, or no sooner there."""
        if not self.todo or len(self.seconds) < len(self.todo):
            return ""
        walls = {count: wall_seconds(self.todo, self.seconds, count) for count in (1, *CLUSTERS)}
        sooner = [count for before, count in pairwise(walls) if walls[count] < walls[before]]
        told = [f"{count} at a time {duration(walls[count])}" for count in sooner]
        return f"on more cores of this kind: {', '.join(told)}" if told else ""


def plan(
    what: str, *, out: Path | None = None, seeds: int | None = None, seed: int | None = None,
    settings: Sequence[str] = (), mechanism: str | None = None, algorithm: str | None = None, add: Sequence[str] = (),
) -> Plan:  # fmt: skip
    """Plan the runs of `what`: a suite, a YAML file, a game or a run.json.

    None stands for the default of `paymaster run`. Raises UsageError for a mistake; nothing is written.
    """
    out = out or Path("runs") / _name(what)
    asked = specs(what, seeds=seeds, seed=seed, mechanism=mechanism, algorithm=algorithm, add=add)
    wanted = jobs(override(asked, parse_settings(settings)))
    files.check(out)
    todo = [job for job in wanted if not (out / job.id).exists()]
    seconds = expected_seconds(todo, out)
    return Plan(out, wanted, longest_first(todo, seconds), seconds)


def make_runs(plan: Plan, *, console: Console, workers: int | None = None, address: str | None = None) -> RunsMade:
    """Make the runs of a plan that are not made yet. Raises UsageError before anything is written."""
    require("torch", "ray", "pyarrow", what="a run")
    if address is None:
        for job in plan.wanted:
            _check_resources(job.run.resources)
    out, todo = plan.out, plan.todo
    with connected(workers, address, count=len(todo), each=plan.each) as parallel, files.locked(out, command()):
        console.print(plan.told(parallel), markup=False, soft_wrap=True)
        failures = show(run_all(todo, out, perform, workers=parallel), todo, out, console)
    return RunsMade(out, [out / job.id for job in plan.wanted if (out / job.id).exists()], failures)


def _check_resources(resources: Resources) -> None:
    """Raise UsageError where this machine has too few cores or GPUs for the run."""
    gpus = 0
    if resources.gpu:
        import torch

        gpus = torch.cuda.device_count()
    resources.check(cores(), gpus)


def specs(
    what: str, *, seeds: int | None = None, seed: int | None = None, mechanism: str | None = None,
    algorithm: str | None = None, add: Sequence[str] = (),
) -> list[RunSpec]:  # fmt: skip
    """The specs of the runs in `what`, before any --set. Raises UsageError for a mistake."""
    if seed is not None and seed < 0:
        raise UsageError(f"--seed must be 0 or more (got {seed})")
    if seeds is not None and seeds < 1:
        raise UsageError(f"--seeds must be at least 1 (got {seeds})")
    first = seed or 0
    of_a_game = "/" in what and what.partition("/")[0] in FAMILIES
    if add and (of_a_game or what.endswith(".json")):
        raise UsageError(f"--add is for a suite (got {what}); a single GAME takes --mechanism and --algorithm")
    if of_a_game:
        single = RunSpec(
            game=what, mechanism=mechanism or "selfish", algorithm=algorithm or "dqn", steps=DEFAULT_STEPS, seed=first
        )
        return [single.model_copy(update={"seed": first + i}) for i in range(seeds or 1)]
    if mechanism or algorithm:
        raise UsageError("--mechanism and --algorithm are for a single GAME; a suite names its own")
    if what.endswith(".json"):
        if seeds or seed is not None:
            raise UsageError("a run.json is run again with its own seed: leave out --seed and --seeds")
        return [read_run_spec(Path(what))]
    if not what.endswith((".yaml", ".yml")) and what not in suites():
        raise UsageError(did_you_mean("suite or game", what, [*suites(), *games()]))
    return expand(added(load_suite(what), add), seeds=seeds, first=first)


def _name(what: str) -> str:
    """The name of the folder of the runs: that of the suite, or `single`."""
    if what.endswith(".json") or ("/" in what and not what.endswith((".yaml", ".yml"))):
        return "single"
    return Path(what).stem

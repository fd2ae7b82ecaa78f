"""From what was asked for to the runs of a suite, made or found already made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

from ...core.config import UsageError, did_you_mean, require
from ...envs import FAMILIES, games
from .. import files
from ..provenance import command, cores
from ..specs.overrides import override, parse_settings
from ..specs.spec import DEFAULT_STEPS, RunSpec
from ..specs.suites import expand, load_suite, suites
from .progress import show
from .record import read_run_spec
from .run import Result, perform, result
from .schedule import Event, Job, connected, jobs, run_all

if TYPE_CHECKING:
    from ...learning.settings import Resources


class Request(NamedTuple):
    """What the command line asks for; None is left open."""

    what: str  # a suite, a YAML file, a game or a run.json
    out: Path | None
    seeds: int | None
    seed: int | None
    workers: int | None
    address: str | None
    settings: list[str]
    mechanism: str | None
    algorithm: str | None


def run_suite(
    what: str | Path, *, out: str | Path | None = None, seeds: int | None = None, seed: int | None = None,
    workers: int | None = None, address: str | None = None, **settings: Any,
) -> list[Result]:  # fmt: skip
    """Make the runs of a suite, or of a YAML file, and give back what they came to, in the suite's order.

    Keywords are those of `paymaster run`, and `settings` keys as `--set` takes them. Raises UsageError for a mistake,
    RuntimeError where a run failed; the others are then there.
    """
    where = None if out is None else Path(out)
    pairs = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    request = Request(str(what), where, seeds, seed, workers, address, pairs, None, None)
    made, failures = make_runs(request, Console(highlight=False, quiet=True))
    if failures:
        raise RuntimeError("\n".join(f"{event.job.name}: {event.error}" for event in failures))
    return [result(folder) for folder in made]


def make_runs(request: Request, console: Console) -> tuple[list[Path], list[Event]]:
    """Make the runs asked for: the folders of those that are there at the end, and what went wrong with the others."""
    out = folder_of(request)
    wanted = jobs(override(specs(request), parse_settings(request.settings)))
    files.check(out)
    require("torch", "ray", "pyarrow", what="a run")
    todo = [job for job in wanted if not (out / job.id).exists()]
    if request.address is None:
        for job in wanted:
            _check_resources(job.run.resources)
    each = max((job.run.resources.cores for job in todo), default=1)
    with (
        connected(request.workers, request.address, count=len(todo), each=each) as workers,
        files.locked(out, command()),
    ):
        console.print(_plan(wanted, todo, out, workers), markup=False, soft_wrap=True)
        failures = show(run_all(todo, out, perform, workers=workers), todo, out, console)
    return [out / job.id for job in wanted if (out / job.id).exists()], failures


def _check_resources(resources: Resources) -> None:
    """Raise UsageError where this machine lacks what the run asks for."""
    gpus = 0
    if resources.gpu:
        import torch

        gpus = torch.cuda.device_count()
    resources.check(cores(), gpus)


def specs(request: Request) -> list[RunSpec]:
    """The runs asked for, before any --set."""
    if request.seed is not None and request.seed < 0:
        raise UsageError(f"--seed must be 0 or more (got {request.seed})")
    if request.seeds is not None and request.seeds < 1:
        raise UsageError(f"--seeds must be at least 1 (got {request.seeds})")
    first, count = request.seed or 0, request.seeds
    if "/" in request.what and request.what.partition("/")[0] in FAMILIES:
        return [_single(request, seed) for seed in range(first, first + (count or 1))]
    if request.mechanism or request.algorithm:
        raise UsageError("--mechanism and --algorithm are for a single GAME; a suite names its own")
    if request.what.endswith(".json"):
        if count or request.seed is not None:
            raise UsageError("a run.json is run again with its own seed: leave out --seed and --seeds")
        return [read_run_spec(Path(request.what))]
    if not request.what.endswith((".yaml", ".yml")) and request.what not in suites():
        raise UsageError(did_you_mean("suite or game", request.what, [*suites(), *games()]))
    return expand(load_suite(request.what), seeds=count, first=first)


def _single(request: Request, seed: int) -> RunSpec:
    return RunSpec(
        game=request.what,
        mechanism=request.mechanism or "selfish",
        algorithm=request.algorithm or "dqn",
        steps=DEFAULT_STEPS,
        seed=seed,
    )


def folder_of(request: Request) -> Path:
    return request.out or Path("runs") / _name(request.what)


def _name(what: str) -> str:
    """The folder of the runs: a suite's name, or `single`."""
    if what.endswith(".json") or ("/" in what and not what.endswith((".yaml", ".yml"))):
        return "single"
    return Path(what).stem


def _plan(wanted: list[Job], todo: list[Job], out: Path, workers: int) -> str:
    done = len(wanted) - len(todo)
    already = f", {done} of them already made" if done else ""
    return f"{len(wanted)} runs{already}, {workers} at a time, in {out}"

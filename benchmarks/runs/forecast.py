"""How long runs take, by finished runs like them, here and in the reference tables; and in which order to start.

A run is like those of its variant; where there is none, like those of its game and mechanism with the same networks and
batches; else like those of its game alone with these. It takes the median of their times for each environment step in
which it learns, its principal's included; where nothing learns, the median of their times. Machines differ: it is an
estimate.
"""

from __future__ import annotations

import csv
import heapq
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from ...core.config import UsageError
from .. import files
from ..provenance import REFERENCE, ROOT
from ..specs.run_names import learner_name
from .record import read_about
from .schedule import Job

Kind = tuple[str, ...]  # what a run is, or less of it
COSTLY = ("encoder", "hidden", "environments", "batch", "policies", "fragment", "epochs", "minibatches", "agents")
DAMAGES = (UsageError, LookupError, TypeError, ValueError, AttributeError)
LIMIT = 10_000  # rows of a table that are read


def expected_seconds(jobs: Sequence[Job], out: Path | None = None) -> dict[str, float]:
    """By the id of a job, the seconds that it is expected to take; jobs without a run like them are left out.

    By the reference tables, and by the finished runs in `out` where it is given.
    """
    rates: dict[Kind, list[float]] = defaultdict(list)
    for kinds, steps, seconds in [*_of_tables(ROOT / REFERENCE), *(_of_runs(out) if out else ())]:
        if seconds > 0:
            for kind in kinds:
                rates[kind].append(seconds / max(1, steps))
    found = {}
    for job in jobs:
        run = job.run
        kinds, steps = _kinds(run.values, run.variant, learner_name(run.values), learned=run.agents.learns)
        known = next((rates[kind] for kind in kinds if kind in rates), None)
        if known is not None:
            found[job.id] = median(known) * max(1, steps)
    return found


def longest_first(jobs: Sequence[Job], seconds: Mapping[str, float]) -> list[Job]:
    """The jobs of each seed in turn; within it that first from whose start the most time passes until all is made.

    A job still stands behind those that it needs.
    """
    through: dict[str, float] = {}  # from the start of a job to the end of the last one that waits for it
    typical = median(seconds.values()) if seconds else 1.0
    waiting: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        for need in job.needs:
            waiting[need].append(job)
    for job in reversed(jobs):  # those that need it stand behind it
        after = max((through[each.id] for each in waiting[job.id]), default=0.0)
        through[job.id] = seconds.get(job.id, typical) + after
    place = {job.id: index for index, job in enumerate(jobs)}
    seeds = {seed: index for index, seed in enumerate(dict.fromkeys(job.run.spec.seed for job in jobs))}
    return sorted(jobs, key=lambda job: (seeds[job.run.spec.seed], -through[job.id], place[job.id]))


def wall_seconds(jobs: Sequence[Job], seconds: Mapping[str, float], workers: int) -> float:
    """The time until all jobs are made: each starts in its turn, when a worker is free and what it needs is made."""
    made = {need: 0.0 for job in jobs for need in job.needs} | {job.id: float("inf") for job in jobs}
    running: list[tuple[float, str]] = []
    waiting, now = list(jobs), 0.0
    while waiting or running:
        ready = [job for job in waiting if all(made[need] <= now for need in job.needs)]
        for job in ready[: workers - len(running)]:
            waiting.remove(job)
            heapq.heappush(running, (now + seconds[job.id], job.id))
        now, id = heapq.heappop(running)
        made[id] = now
    return now


def duration(seconds: float) -> str:
    """A time as a person says it."""
    for size, unit in ((3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 1.95 * size:
            return f"{seconds / size:.0f} {unit}" if seconds >= 10 * size else f"{seconds / size:.1f} {unit}"
    return "1 second" if seconds < 1.5 else f"{seconds:.0f} seconds"


def _kinds(values: Mapping[str, Any], variant: str, learner: str, *, learned: bool) -> tuple[list[Kind], int]:
    """What a run is, most narrowly first, and the environment steps in which it learns, by its resolved values.

    Agents that are not `learned`, but computed, take none.
    """
    principal = values["principal"] if isinstance(values["principal"], dict) else {}
    trained = {} if "from" in principal else principal
    costly = [{name: part.get(name) for name in COSTLY} for part in (values["settings"], trained)]
    shape = json.dumps(costly, sort_keys=True)
    played, steps = (values["game"], learner, shape), learned * int(values["steps"]) + int(trained.get("steps", 0))
    return [(variant,), (*played, values["mechanism"]), played], steps


def _of_runs(out: Path) -> Iterator[tuple[list[Kind], int, float]]:
    """The finished runs in a folder."""
    for folder in files.runs(out) if out.exists() else ():
        with suppress(*DAMAGES):  # a damaged run is told where it is read for more than its time
            about = read_about(folder / files.RUN)
            values = about["resolved"]
            learned = bool(about["steps"].get("validate"))
            kinds = _kinds(values, about["variant"], learner_name(values), learned=learned)
            yield *kinds, sum(about["seconds"].values())


def _of_tables(folder: Path) -> Iterator[tuple[list[Kind], int, float]]:
    """The rows of the reference tables; where there are none, as in an installation without them, nothing."""
    for table in sorted(folder.glob("*.csv")):
        with table.open(newline="") as lines:
            for row, _ in zip(csv.DictReader(lines), range(LIMIT), strict=False):
                with suppress(*DAMAGES):
                    settings = json.loads(row["settings"])
                    values = {**row, "settings": settings["settings"], "principal": settings.get("principal")}
                    kinds = _kinds(values, row["variant"], row["algorithm"], learned=True)  # for the steps of the row
                    yield *kinds, float(row["seconds"])

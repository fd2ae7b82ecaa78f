"""`paymaster run`: says what is planned, and reports on finished runs with a table, learning curves and a replay."""

from __future__ import annotations

import sys

from rich.console import Console

from ..reports.run_report import report
from ..reports.text_table import WIDTH, columns
from ..runs.forecast import duration
from ..runs.launch import Plan, RunsMade
from ..runs.schedule import Job, at_a_time


def report_plan(plan: Plan, workers: int | None, address: str | None, console: Console) -> None:
    """Print what would be made, a line for the runs that differ in their seed alone, and about how long it takes, here
    and on larger machines.

    Raises UsageError for more workers than this machine has cores for, unless a cluster's `address` is given.
    """
    given = workers if address is not None else None
    parallel = given or at_a_time(workers, count=len(plan.todo), each=plan.each)
    alike: dict[str, list[Job]] = {}
    for job in sorted(plan.todo, key=plan.wanted.index):
        alike.setdefault(job.run.variant, []).append(job)
    rows = [["run", "seeds", "steps", "principal's steps", "time each"]]
    for found in alike.values():
        run, known = found[0].run, [plan.seconds[job.id] for job in found if job.id in plan.seconds]
        principal = run.values["principal"]
        own = principal.get("steps") if isinstance(principal, dict) else None
        seeds = sorted(job.run.spec.seed for job in found)
        rows.append([
            run.label, f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0]), f"{run.spec.steps:,}",
            "" if own is None else f"{own:,}", duration(sum(known) / len(known)) if known else "unknown",
        ])  # fmt: skip
    if plan.todo:
        console.print(columns(rows, WIDTH), markup=False, soft_wrap=True)
    console.print(plan.told(parallel), markup=False, soft_wrap=True)
    if plan.elsewhere:
        console.print(plan.elsewhere, markup=False, soft_wrap=True)


def report_runs(made: RunsMade, console: Console) -> int:
    """Report on the finished runs, name those that failed, and return the exit code."""
    if made.folders:
        report(made.folders, made.out, console)
    for event in made.failures:
        print(f"paymaster: {event.job.name} failed: {event.error}", file=sys.stderr)
    return 1 if made.failures else 0

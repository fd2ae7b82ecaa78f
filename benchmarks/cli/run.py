"""`paymaster run`: makes the runs, then prints a table and draws learning curves and a replay."""

from __future__ import annotations

import sys

from rich.console import Console

from ..runs.launch import Request, folder_of, make_runs


def execute(request: Request) -> int:
    """Make the runs and report on them; the exit code. Raises UsageError before anything is written."""
    from ..reports.run_report import report

    console = Console(highlight=False)
    made, failures = make_runs(request, console)
    if made:
        report(made, folder_of(request), console)
    for event in failures:
        print(f"paymaster: {event.job.name} failed: {event.error.splitlines()[-1]}", file=sys.stderr)
    return 1 if failures else 0

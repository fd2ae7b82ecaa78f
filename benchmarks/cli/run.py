"""`paymaster run`: reports on finished runs with a table, learning curves and a replay."""

from __future__ import annotations

import sys

from rich.console import Console

from ..reports.run_report import report
from ..runs.launch import RunsMade


def report_runs(made: RunsMade, console: Console) -> int:
    """Report on the finished runs, name those that failed, and return the exit code."""
    if made.folders:
        report(made.folders, made.out, console)
    for event in made.failures:
        print(f"paymaster: {event.job.name} failed: {event.error}", file=sys.stderr)
    return 1 if made.failures else 0

"""`paymaster report`: one HTML file about all runs in a folder, to be sent to somebody."""

from __future__ import annotations

import sys
from pathlib import Path

from ...core.config import UsageError
from ..analysis.comparison import compare
from ..files import atomic_file
from ..reports.html_report import check_out, html_report


def report_and_write(folder: Path, out: Path, against: str | None) -> int:
    """Write the report of the runs in `folder` to `out`, and return the exit code.

    Raises UsageError where there is no run, and where `out` cannot be written or is not an earlier report.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder of runs: give one that `paymaster run` wrote, such as runs/quick")
    check_out(out)
    comparison = compare(folder, against=against)
    for damaged in comparison.damaged:
        print(f"paymaster: left out: {damaged}", file=sys.stderr)
    page = html_report(folder, comparison).encode()
    with atomic_file(out) as partial:
        partial.write_bytes(page)
    size = f"{len(page) / 1e6:.1f} MB"
    print(f"wrote {len(comparison.rows)} runs to {out} ({size}); any browser opens it, without a network")
    return 0

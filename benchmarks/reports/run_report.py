"""The report after runs: their table, and the paths of the folders, the curves, the frontier and a replay."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ...core.config import UsageError
from ..analysis.comparison import compare
from .comparison_table import present
from .curves import CURVES, draw_curves
from .episode import draw, worth_seeing
from .frontier import FRONTIER, draw_frontier, pays

EPISODE = "replay.gif"


def report(folders: Sequence[Path], out: Path, console: Console) -> None:
    """Compare the runs in `folders`, draw curves, a frontier and a replay to `out`, and print their paths."""
    comparison = compare(*folders)
    for damaged in comparison.damaged:
        print(f"paymaster: left out: {damaged}", file=sys.stderr)
    console.print(f"\n{present(comparison, 'table')}\n", markup=False, soft_wrap=True)
    drawn = {
        "runs": lambda: out,
        "learning curves": lambda: draw_curves(comparison, folders, out / CURVES),
        "the frontier": lambda: draw_frontier(comparison, out / FRONTIER),
        "a replay": lambda: draw(str(worth_seeing(folders)[0]), out / EPISODE, settings=[]),
    }
    if not any(map(pays, comparison.groups)):
        del drawn["the frontier"]
    for what, make in drawn.items():
        try:
            console.print(f"{what + ':':17}{make()}", markup=False, soft_wrap=True)
        except UsageError as error:
            print(f"paymaster: no {what}: {error}", file=sys.stderr)

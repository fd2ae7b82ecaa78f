"""What is said when runs have been made: the table, and where the folders, the curves and a replay are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ..envs.config import UsageError
from .compare import compare
from .curves import CURVES, draw_curves
from .drawing import draw
from .folders import RUN
from .present import present
from .record import read_about

EPISODE = "replay.gif"


def report(folders: Sequence[Path], out: Path, console: Console) -> None:
    """Compare the runs in `folders`, draw their curves and one replay to `out`, and say where everything is."""
    comparison = compare(*folders)
    for damaged in comparison.damaged:
        print(f"paymaster: left out: {damaged}", file=sys.stderr)
    console.print(f"\n{present(comparison, 'table')}\n", markup=False, soft_wrap=True)
    drawn = {
        "runs": lambda: out,
        "learning curves": lambda: draw_curves(comparison, folders, out / CURVES),
        "a replay": lambda: draw(str(_worth_seeing(folders)), out / EPISODE, settings=[]),
    }
    for what, make in drawn.items():
        try:
            console.print(f"{what + ':':17}{make()}", markup=False, soft_wrap=True)
        except UsageError as error:
            print(f"paymaster: no {what}: {error}", file=sys.stderr)


def _worth_seeing(folders: Sequence[Path]) -> Path:
    """The first run with a principal, else the first."""
    paid = [folder for folder in folders if read_about(folder / RUN)["resolved"]["principal"] is not None]
    return (paid or list(folders))[0]

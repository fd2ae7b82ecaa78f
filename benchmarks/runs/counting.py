"""A bar for long work of which the pieces can be counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")


def counted(pieces: Iterable[T], total: int, what: str) -> Iterator[T]:
    """The `total` pieces one by one, with a bar on a terminal."""
    console = Console(stderr=True, highlight=False)
    display = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn(),
        TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with display:
        yield from display.track(pieces, total=total, description=what)

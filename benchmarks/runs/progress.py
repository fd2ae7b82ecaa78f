"""Progress bars, which a terminal shows and a file does not; and the lines about runs, which both have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)  # fmt: skip
from rich.text import Text

from .. import files

if TYPE_CHECKING:
    from .run import Progress as RunProgress
    from .schedule import Event, Job

T = TypeVar("T")


def progress_bars(console: Console, *columns: ProgressColumn) -> Progress:
    """Bars with a description on the left and `columns` on the right; nothing is drawn where there is no terminal."""
    description, bar = TextColumn("{task.description}", markup=False), BarColumn(bar_width=24)
    return Progress(description, bar, *columns, console=console, transient=True, disable=not console.is_terminal)


def counted(pieces: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Iterate over the `total` pieces of long work behind a bar that counts them."""
    with progress_bars(Console(stderr=True, highlight=False), MofNCompleteColumn(), TimeRemainingColumn()) as display:
        yield from display.track(pieces, total=total, description=what)


class RateColumn(ProgressColumn):
    """Environment steps per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} steps/s" if speed and task.fields["of_steps"] else "", style="cyan")


def show(events: Iterable[Event], jobs: list[Job], out: Path, console: Console) -> list[Event]:
    """Draw the events as they come and return the failures among them."""
    failures: list[Event] = []
    bars: dict[str, TaskID] = {}
    with _display(console) as display:
        total = display.add_task("all runs", total=len(jobs), of_steps=False, so_far="")
        for event in events:
            if event.kind == "progressed" and event.progress is not None:
                _advance(display, bars, event.job, event.progress)
            if event.kind in ("lost", "failed"):
                told = f"{event.job.name}: {event.trace or event.error}"
                display.console.print(told, style="red", markup=False, soft_wrap=True)
            if event.kind == "finished":
                display.console.print(finished_line(event.job, out), markup=False, soft_wrap=True)
            if event.kind in ("finished", "failed"):
                display.advance(total)
            if event.kind in ("finished", "lost", "failed") and event.job.id in bars:
                display.remove_task(bars.pop(event.job.id))
            failures += [event] * (event.kind == "failed")
    return failures


def finished_line(job: Job, out: Path) -> str:
    """One line about a finished run: its welfare, its payment, and the time of each phase."""
    from .record import read_about

    about = read_about(out / job.id / files.RUN)
    evaluated, seconds = about["evaluated"], about["seconds"]
    times = ", ".join(f"{phase} {_time(spent)}" for phase, spent in seconds.items())
    return f"{job.name}: welfare {evaluated['welfare']:.2f}, payment {evaluated['payment']:.2f} ({times})"


def _display(console: Console) -> Progress:
    count, so_far = TextColumn("{task.completed:,.0f}/{task.total:,.0f}"), TextColumn("{task.fields[so_far]}")
    return progress_bars(console, count, RateColumn(), TimeRemainingColumn(), so_far)


def _advance(display: Progress, bars: dict[str, TaskID], job: Job, progress: RunProgress) -> None:
    description = f"{job.name} {progress.phase}"
    if job.id not in bars:
        bars[job.id] = display.add_task(description, total=progress.total, of_steps=True, so_far="")
    bar = bars[job.id]
    if display.tasks[display.task_ids.index(bar)].description != description:  # a new phase: rate and time start again
        display.reset(bar, total=progress.total, description=description)
    display.update(bar, completed=progress.steps, so_far=_so_far(progress))


def _so_far(progress: RunProgress) -> str:
    return "" if math.isnan(progress.welfare) else f"welfare {progress.welfare:.2f} payment {progress.payment:.2f}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"

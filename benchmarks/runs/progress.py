"""What is seen of runs while they are made: a bar for each on a terminal, a line for each finished one anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from .. import files
from .record import read_about
from .run import Progress as RunProgress
from .schedule import Event, Job


class RateColumn(ProgressColumn):
    """Environment steps a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} steps/s" if speed and task.fields["of_steps"] else "", style="cyan")


def show(events: Iterable[Event], jobs: list[Job], out: Path, console: Console) -> list[Event]:
    """Draw the events as they come; the failures among them are given back."""
    failures: list[Event] = []
    bars: dict[str, TaskID] = {}
    with _display(console) as display:
        total = display.add_task("all runs", total=len(jobs), of_steps=False, so_far="")
        for event in events:
            if event.kind == "progressed" and event.progress is not None:
                _advance(display, bars, event.job, event.progress)
            if event.kind in ("lost", "failed"):
                display.console.print(f"{event.job.name}: {event.error}", style="red", markup=False, soft_wrap=True)
            if event.kind == "finished":
                display.console.print(finished_line(event.job, out), markup=False, soft_wrap=True)
            if event.kind in ("finished", "failed"):
                display.advance(total)
            if event.kind in ("finished", "lost", "failed") and event.job.id in bars:
                display.remove_task(bars.pop(event.job.id))
            failures += [event] * (event.kind == "failed")
    return failures


def finished_line(job: Job, out: Path) -> str:
    """A finished run in a line: what it came to, and how long its phases took."""
    about = read_about(out / job.id / files.RUN)
    evaluated, seconds = about["evaluated"], about["seconds"]
    times = ", ".join(f"{phase} {_time(spent)}" for phase, spent in seconds.items())
    return f"{job.name}: welfare {evaluated['welfare']:.2f}, payment {evaluated['payment']:.2f} ({times})"


def _display(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        RateColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[so_far]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _advance(display: Progress, bars: dict[str, TaskID], job: Job, progress: RunProgress) -> None:
    description = f"{job.name} {progress.phase}"
    if job.id not in bars:
        bars[job.id] = display.add_task(description, total=progress.total, of_steps=True, so_far="")
    bar = bars[job.id]
    if display.tasks[display.task_ids.index(bar)].description != description:  # the next phase: rate and time anew
        display.reset(bar, total=progress.total, description=description)
    display.update(bar, completed=progress.steps, so_far=_so_far(progress))


def _so_far(progress: RunProgress) -> str:
    return "" if math.isnan(progress.welfare) else f"welfare {progress.welfare:.2f} payment {progress.payment:.2f}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"

"""The result of a search for a self-interest level, from its record: as text, and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from .styles import COLOURS
from .text_table import columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RECORD, PICTURE = "self-interest.json", "self-interest.png"


class TrialRecord(BaseModel):
    """What agents learned at one level; its welfare is a mean over seeds with an interval."""

    level: float
    fresh: bool
    welfare: float
    low: float
    high: float
    way: float | None  # the normalised welfare; None where no dilemma is detected
    cooperates: bool


class Criterion(BaseModel):
    """When agents count as cooperating."""

    share: float  # of the way from selfish welfare to joint welfare
    welfare: float  # there


class NormalForm(BaseModel):
    """What follows from the payoffs of agents who learned selfishly and of agents who learned jointly."""

    level: float | None  # s*
    kept: float | None  # g*
    matrix: list[list[float]] | None  # T*


class SearchRecord(BaseModel):
    """What is read of self-interest.json."""

    game: str
    algorithm: str
    steps: int
    seeds: list[int]
    trials: list[TrialRecord]
    criterion: Criterion
    level: float | None  # s*; None where no dilemma is detected
    above: float | None  # the smallest level above it at which fresh agents do not cooperate
    closed_form: float | None
    empirical: NormalForm | None

    def ordered(self) -> list[TrialRecord]:
        """The trials from the highest level to the lowest, fresh agents first."""
        return sorted(self.trials, key=lambda trial: (-trial.level, not trial.fresh))


def lines(record: Mapping[str, object], folder: Path) -> Iterator[str]:
    """The record, which lies in `folder`, for people."""
    found = SearchRecord.model_validate(record)
    seeds = f"seeds {found.seeds[0]} to {found.seeds[-1]}"
    yield f"{found.game}: {found.algorithm}, {found.steps:,} steps a level, {seeds}\n"
    head = ["self-interest", "agents", "welfare", "normalised welfare", "cooperate"]
    yield columns([head, *map(_row, found.ordered())])
    yield ""
    yield _level(found)
    yield from _normal_forms(found)
    yield f"\nrecord:  {folder / RECORD}\npicture: {folder / PICTURE}"


def _row(trial: TrialRecord) -> list[str]:
    return [
        f"{trial.level:.4g}",
        "fresh" if trial.fresh else "warm-started",
        f"{trial.welfare:.2f} [{trial.low:.2f}, {trial.high:.2f}]",
        "" if trial.way is None else f"{trial.way:.0%}",
        "yes" if trial.cooperates else "no",
    ]


def _level(found: SearchRecord) -> str:
    if found.level is None:
        return (
            "No social dilemma detected: agents who all maximise the welfare achieve no more than selfish agents, as "
            "far as these seeds show. Either selfish agents cooperate, or more steps are needed."
        )
    low, high, criterion = found.level, found.above, found.criterion
    return (
        f"s* = {low:.4g}: fresh agents cooperate at {low:.4g}, and at {high:.4g} they do not. They do where the mean "
        f"welfare of the seeds is {criterion.welfare:.2f} or more, a normalised welfare of {criterion.share:.0%} (0%: "
        "selfish agents; 100%: agents who all maximise the welfare). Warm-started agents go on from the level before."
    )


def _normal_forms(record: SearchRecord) -> Iterator[str]:
    """What the normal forms of the game give, where there are any."""
    if record.closed_form is not None:
        yield f"by the payoffs of one step: s* = {record.closed_form:.4g}"
    found = record.empirical
    if found is None:
        yield "by what mixes of agents of the two ends earn: not known, since they are too many to play every mix"
        return
    level, kept = ("none" if value is None else f"{value:.4g}" for value in (found.level, found.kept))
    yield f"by what mixes of agents of the two ends earn: s* = {level}, g* = {kept}"
    if found.matrix is not None:
        rows = ", ".join(f"[{', '.join(f'{part:.7g}' for part in row)}]" for row in found.matrix)
        yield f"T* of those, for transfer-matrix: --set 'matrix=[{rows}]'"


def draw(record: Mapping[str, object], out: Path) -> None:
    """Draw welfare against the level, with intervals over seeds, where s* lies, and what counts as cooperation."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = SearchRecord.model_validate(record)
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    _draw_trials(axis, found)
    if found.level is not None:
        _draw_level(axis, found.level, found.above, found.criterion)
    if found.closed_form is not None:
        axis.axvline(found.closed_form, color="0.35", linewidth=0.8, linestyle=":", label="closed form")
    axis.set_title(f"{found.game}: welfare by the level of self-interest", loc="left", fontsize=11)
    axis.set_xlabel("self-interest s, the share of its own reward that every agent keeps")
    axis.set_ylabel("welfare of an episode")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=9, frameon=False)
    figure.savefig(out, format="png", dpi=120)


def _draw_trials(axis: Axes, found: SearchRecord) -> None:
    series = {"fresh agents": (COLOURS[0], "o-"), "warm-started agents": (COLOURS[1], "s--")}
    for label, (colour, style) in series.items():
        trials = [trial for trial in found.ordered() if trial.fresh == (label == "fresh agents")]
        bars = [[each.welfare - each.low for each in trials], [each.high - each.welfare for each in trials]]
        axis.errorbar(
            [each.level for each in trials], [each.welfare for each in trials], yerr=bars, fmt=style, color=colour,
            markersize=5, linewidth=1.2, label=label,
        )  # fmt: skip


def _draw_level(axis: Axes, level: float, above: float | None, criterion: Criterion) -> None:
    axis.axhline(criterion.welfare, color="0.5", linewidth=0.8, zorder=0)
    axis.annotate(
        f"normalised welfare {criterion.share:.0%}", (0, criterion.welfare), (4, 3),
        xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8, color="0.35",
    )  # fmt: skip
    axis.axvspan(level, level if above is None else above, color="0.85", zorder=0, label="s* lies here")

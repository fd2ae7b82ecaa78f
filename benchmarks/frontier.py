"""The frontier: what fresh agents' welfare costs the principal, a point for every mechanism."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..envs.config import UsageError
from .compare import Comparison, Group, Line
from .curves import COLOURS
from .exact import OPTIMUM, Exact
from .folders import whole_file
from .statistics import Estimate

FRONTIER = "frontier.png"
MARKS = "osD^vPX"
FAR = 3.0  # times what any mechanism pays: an exact solution beyond that is named at the edge, and not shown to scale
PLACES = ((6, 5, "left"), (-6, -12, "right"))  # of the points' names, in turn: to the right above, to the left below


def draw_frontier(comparison: Comparison, out: Path) -> Path:
    """Draw welfare against payment, means over seeds with their intervals: a panel for each game in which anybody pays.

    A mechanism under several parameters is one series. Stars are exact solutions, followed to the letter. Raises
    UsageError where no principal pays, or where nothing can be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = [group for group in comparison.groups if pays(group)]
    if not groups:
        raise UsageError("there is no principal that pays")
    labels = list(dict.fromkeys(_label(line) for group in groups for line in group.lines if _pays(line)))
    looks = {label: (COLOURS[i % len(COLOURS)], MARKS[i % len(MARKS)]) for i, label in enumerate(labels)}
    figure = Figure(figsize=(10, 5.6 * len(groups)), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, group in zip(figure.subplots(len(groups), squeeze=False)[:, 0], groups, strict=True):
        _panel(axis, group, looks)
    with whole_file(out) as partial:
        figure.savefig(partial, format="png", dpi=120)
    return out


def pays(group: Group) -> bool:
    """Whether any mechanism's principal pays."""
    return any(map(_pays, group.lines))


def _pays(line: Line) -> bool:
    return line.estimate("payment").mean > 0.0


def _label(line: Line) -> str:
    return f"{line.first.mechanism}/{line.algorithm}"


def _panel(axis: Any, group: Group, looks: dict[str, tuple[str, str]]) -> None:
    for label, look in looks.items():
        lines = [line for line in group.lines if _label(line) == label and _pays(line)]
        if lines:
            _series(axis, label, lines, *look)
    _solutions(axis, group)
    axis.set_title(f"{group.short}: welfare of fresh agents, and what it costs", loc="left", fontsize=11)
    axis.set_xlabel("principal's payment in an episode")
    axis.set_ylabel("welfare of an episode")
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.08, y=0.1)
    axis.legend(loc="lower right", fontsize=9, frameon=False)


def _series(axis: Any, label: str, lines: list[Line], colour: str, mark: str) -> None:
    points = sorted(
        ((line.estimate("payment"), line.estimate("welfare"), line) for line in lines), key=lambda point: point[:2]
    )
    paid, welfare = [point[0] for point in points], [point[1] for point in points]
    axis.errorbar(
        [each.mean for each in paid], [each.mean for each in welfare], xerr=_bars(paid), yerr=_bars(welfare),
        fmt=mark, color=colour, markersize=6, linewidth=0.8, label=label,
    )  # fmt: skip
    for place, (cost, gain, line) in enumerate(points):
        told = line.name.removeprefix(line.first.mechanism).strip()
        right, up, side = PLACES[place % len(PLACES)]
        axis.annotate(
            told, (cost.mean, gain.mean), (right, up), textcoords="offset points",
            fontsize=8, color=colour, ha=side,
        )  # fmt: skip


def _bars(estimates: list[Estimate]) -> list[list[float]]:
    """How far the intervals reach below and above the means; nothing for a single seed."""
    below = [each.mean - each.low if each.seeds > 1 else 0.0 for each in estimates]
    above = [each.high - each.mean if each.seeds > 1 else 0.0 for each in estimates]
    return [below, above]


def _solutions(axis: Any, group: Group) -> None:
    """The exact solutions that pay, of the game that learners are given, and the optimum as a line."""
    kind = next((each.kind for each in group.exact), None)
    far = FAR * max(line.estimate("payment").mean for line in group.lines)
    near, at, row = 0.2 * far / FAR, -math.inf, 0  # names of stars that stand this close go one above the other
    for each in sorted((each for each in group.exact if each.kind == kind), key=lambda each: each.payment or 0.0):
        if each.name == OPTIMUM:
            axis.axhline(each.welfare, color="0.5", linewidth=0.8, zorder=0)
            axis.annotate(
                OPTIMUM, (0.0, each.welfare), (4, -11), xycoords=("axes fraction", "data"), textcoords="offset points",
                fontsize=8, color="0.35",
            )  # fmt: skip
        elif each.payment is not None and each.payment > far:
            axis.annotate(
                f"{_told(each)}, at {each.payment:.0f} \N{RIGHTWARDS ARROW}", (1.0, each.welfare), (0, -28),
                xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8, color="0.35", ha="right",
            )  # fmt: skip
        elif each.payment is not None:
            row, at = (row + 1 if each.payment - at < near else 0), each.payment
            axis.plot(each.payment, each.welfare, "*", color="0.35", markersize=11, zorder=1)
            axis.annotate(
                _told(each), (each.payment, each.welfare), (8, 5 + 10 * row),
                textcoords="offset points", fontsize=8, color="0.35",
            )  # fmt: skip


def _told(solution: Exact) -> str:
    return f"exact: {solution.name.removeprefix('principal, ')}"

"""Learning curves: welfare and payment of fresh agents against all steps learned, with the exact solutions."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...core.config import UsageError
from ..analysis.comparison import Comparison
from ..analysis.groups import Group, Line
from ..files import RUN, atomic_file
from ..measures.columns import PAYMENT
from ..measures.exact_solutions import HIGHEST, OPTIMUM, PRINCIPAL
from ..runs.record import read_about, read_episodes
from .styles import Style, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES = "curves.png"
POINTS = 60  # on a curve; each is the mean of the episodes that ended since the last
LEGEND = 3  # columns of it
CHARACTERS = 38  # of a line in a column
CLOSE = 0.01  # exact values that differ by less, relatively, share a line
PANELS = {"welfare": "welfare of an episode", "principal_payment": "principal's payment in an episode"}
EXACT = {  # the solutions that are drawn, of the game that learners are given, and their names there
    OPTIMUM: "social optimum",
    HIGHEST: "selfish equilibrium",
    PRINCIPAL: "exact principal",
}


class Curve(NamedTuple):
    """A column of the agents' learning phase, averaged over bins of environment steps."""

    steps: np.ndarray  # (P,) the end of each bin
    seeds: np.ndarray  # (S, P) mean of the episodes that ended in it; nan where none did


def draw_curves(comparison: Comparison, folders: Sequence[Path], out: Path) -> Path:
    """Draw the welfare and the payment of every line of a comparison of the runs in `folders`, a row for each game.

    Lines are means over seeds, and bands go from the lowest seed to the highest. The axis counts all environment steps,
    so a line begins where its mechanism had learned. The payment is left out where nobody pays. Raises UsageError
    where nothing can be drawn or written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not comparison.groups:
        raise UsageError("there are no runs to draw curves of")
    abouts = [read_about(folder / RUN) for folder in folders]
    if not any(about["steps"].get("validate") for about in abouts):
        raise UsageError("these agents learned nothing")
    where = {about["run"]: folder for about, folder in zip(abouts, folders, strict=True)}
    lines = (line for group in comparison.groups for line in group.lines)
    looks = styles(comparison, ((line.first.mechanism, line.label) for line in lines))
    rows, panels = len(comparison.groups), [column for column in PANELS if column == "welfare" or _paid(comparison)]
    labels = {label: textwrap.fill(label, CHARACTERS) for label in looks}
    height = 0.22 * math.ceil(len(looks) / LEGEND) + 0.16 * sum(label.count("\n") for label in labels.values())
    figure = Figure(figsize=(11, 4.2 * rows + height), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, group in zip(figure.subplots(rows, len(panels), squeeze=False), comparison.groups, strict=True):
        axes[0].set_title(f"{group.short}: fresh agents learn", loc="left", fontsize=11)
        for axis, column in zip(axes, panels, strict=True):
            _panel(axis, group, column, where, looks)
    drawn = {text: line for axis in figure.axes for line, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    names = [labels[label] for label in drawn]
    figure.legend(drawn.values(), names, loc="outside lower left", ncols=LEGEND, fontsize=9, frameon=False)
    with atomic_file(out) as partial:
        figure.savefig(partial, format="png", dpi=120)
    return out


def _paid(comparison: Comparison) -> bool:
    return any(any(line.values(PAYMENT).values()) for group in comparison.groups for line in group.lines)


def curve(folders: Sequence[Path], column: str, budget: int) -> Curve:
    """A column of the phase validate of the runs in `folders`, one a seed, in `POINTS` bins up to `budget` steps."""
    edges = np.linspace(0, budget, POINTS + 1)
    seeds = []
    for folder in folders:
        found = read_episodes(folder, "validate", ["steps", column])
        bins = np.clip(np.searchsorted(edges, found["steps"].to_numpy()) - 1, 0, POINTS - 1)
        count = np.bincount(bins, minlength=POINTS)
        total = np.bincount(bins, weights=found[column].to_numpy(np.float64), minlength=POINTS)
        seeds.append(np.divide(total, count, out=np.full(POINTS, np.nan), where=count > 0))
    return Curve(edges[1:], np.array(seeds))


def line_curve(line: Line, column: str, folders: Sequence[Path]) -> Curve | None:
    """The curve of a line whose runs lie in `folders`, over all steps learned, those of its mechanism included.

    It has the bins in which an episode of some seed ended. None where nobody learned, or where nobody pays the payment.
    """
    if column != "welfare" and not any(line.values(PAYMENT).values()):
        return None
    found = curve(folders, column, line.first.steps)
    known = ~np.isnan(found.seeds).all(axis=0)
    if not known.any():
        return None
    return Curve(line.first.principal_steps + found.steps[known], found.seeds[:, known])


def _panel(axis: Axes, group: Group, column: str, where: dict[str, Path], looks: dict[str, Style]) -> None:
    for line in group.lines:
        _draw(axis, line, column, where, looks[line.label])
    for value, names in known_values(group, column).items():
        axis.axhline(value, color="0.5", linewidth=0.8, zorder=0)
        axis.annotate(
            ", ".join(names), (1, value), (0, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
            fontsize=8, color="0.35", ha="right", va="bottom",
        )  # fmt: skip
    axis.set_xlabel("environment steps, those of the mechanism included")
    axis.set_ylabel(PANELS[column])
    axis.xaxis.set_major_formatter(lambda steps, _: f"{steps:,.0f}")
    axis.locator_params(axis="x", nbins=5)  # numbers of six digits need the room
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(y=0.08)


def known_values(group: Group, column: str) -> dict[float, list[str]]:
    """The names of the exact solutions by their values; values that look the same on paper are one."""
    known: dict[float, list[str]] = {}
    for each in group.given:
        value = each.welfare if column == "welfare" else each.payment
        if each.name in EXACT and each.counts and value is not None:
            close = (other for other in known if abs(other - value) <= CLOSE * abs(value))
            known.setdefault(next(close, value), []).append(EXACT[each.name])
    return known


def _draw(axis: Axes, line: Line, column: str, where: dict[str, Path], style: Style) -> None:
    """Draw the mean and the band of a line; nothing where nobody learned, or where nobody pays the payment."""
    found = line_curve(line, column, [where[row.run] for row in line.seeds.values() if row.run in where])
    if found is None:
        return
    means = np.nanmean(found.seeds, axis=0)
    axis.plot(found.steps, means, style.dash, color=style.colour, linewidth=1.6, label=line.label)
    low, high = np.nanmin(found.seeds, axis=0), np.nanmax(found.seeds, axis=0)
    axis.fill_between(found.steps, low, high, color=style.colour, alpha=0.15, linewidth=0)

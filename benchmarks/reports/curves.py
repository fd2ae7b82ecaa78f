"""Learning curves: welfare and payment of fresh agents against the steps they learned, beside what is exactly known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...core.config import UsageError
from ..analysis.comparison import Comparison
from ..analysis.groups import Group, Line
from ..files import RUN, whole_file
from ..measures.columns import PAYMENT
from ..measures.exact_solutions import FINITE, HIGHEST, OPTIMUM
from ..runs.record import read_about, read_episodes

CURVES = "curves.png"
POINTS = 60  # on a curve; each is the mean of the episodes that ended since the last
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")  # Okabe and Ito 2008
STYLES = ("-", "--", ":", "-.")
COLUMNS = 3  # of the legend
CLOSE = 0.01  # exact values that differ by less, relatively, share a line
PANELS = {"welfare": "welfare of an episode", "principal_payment": "principal's payment in an episode"}
EXACT = {  # the solutions of the finite horizon that are drawn, and how they are called
    OPTIMUM: "social optimum",
    HIGHEST: "selfish equilibrium",
    "principal, subgame-perfect": "exact principal",
}


class Curve(NamedTuple):
    """A column of the agents' learning phase, averaged over bins of environment steps."""

    steps: np.ndarray  # (P,) the end of each bin
    seeds: np.ndarray  # (S, P) mean of the episodes that ended in it; nan where none did


def draw_curves(comparison: Comparison, folders: Sequence[Path], out: Path) -> Path:
    """Draw welfare and payment of every line of a comparison, of which `folders` are the runs: a row for each game.

    Where nobody pays, payment is left out.
    Lines are means over seeds, bands go from the lowest seed to the highest. Raises UsageError where nothing can be
    drawn or written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not comparison.groups:
        raise UsageError("there are no runs to draw curves of")
    abouts = [read_about(folder / RUN) for folder in folders]
    if not any(about["steps"].get("validate") for about in abouts):
        raise UsageError("these agents learned nothing")
    where = {about["run"]: folder for about, folder in zip(abouts, folders, strict=True)}
    looks = _looks(comparison)
    rows, panels = len(comparison.groups), [column for column in PANELS if column == "welfare" or _paid(comparison)]
    figure = Figure(figsize=(11, 4.2 * rows + 0.22 * math.ceil(len(looks) / COLUMNS)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, group in zip(figure.subplots(rows, len(panels), squeeze=False), comparison.groups, strict=True):
        axes[0].set_title(f"{group.short}: fresh agents learn", loc="left", fontsize=11)
        for axis, column in zip(axes, panels, strict=True):
            _panel(axis, group, column, where, looks)
    drawn = {text: line for axis in figure.axes for line, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(drawn.values(), drawn.keys(), loc="outside lower left", ncols=COLUMNS, fontsize=9, frameon=False)
    with whole_file(out) as partial:
        figure.savefig(partial, format="png", dpi=120)
    return out


def _paid(comparison: Comparison) -> bool:
    return any(any(line.values(PAYMENT).values()) for group in comparison.groups for line in group.lines)


def curve(folders: Sequence[Path], column: str, budget: int) -> Curve:
    """A column of the phase validate of the runs in `folders`, one for each seed, in `POINTS` bins up to `budget`."""
    edges = np.linspace(0, budget, POINTS + 1)
    seeds = []
    for folder in folders:
        found = read_episodes(folder, "validate", ["steps", column])
        bins = np.clip(np.searchsorted(edges, found["steps"].to_numpy()) - 1, 0, POINTS - 1)
        count = np.bincount(bins, minlength=POINTS)
        total = np.bincount(bins, weights=found[column].to_numpy(np.float64), minlength=POINTS)
        seeds.append(np.divide(total, count, out=np.full(POINTS, np.nan), where=count > 0))
    return Curve(edges[1:], np.array(seeds))


def _looks(comparison: Comparison) -> dict[str, tuple[str, str]]:
    """Colour and style of every label, the same on all boards."""
    labels = dict.fromkeys(line.label for group in comparison.groups for line in group.lines)
    return {
        label: (COLOURS[index % len(COLOURS)], STYLES[index // len(COLOURS) % len(STYLES)])
        for index, label in enumerate(labels)
    }


def _panel(axis: Any, group: Group, column: str, where: dict[str, Path], looks: dict[str, tuple[str, str]]) -> None:
    for line in group.lines:
        _draw(axis, line, column, where, *looks[line.label])
    for value, names in _known(group, column).items():
        axis.axhline(value, color="0.5", linewidth=0.8, zorder=0)
        axis.annotate(
            ", ".join(names), (1, value), (0, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
            fontsize=8, color="0.35", ha="right", va="bottom",
        )  # fmt: skip
    axis.set_xlabel("environment steps")
    axis.set_ylabel(PANELS[column])
    axis.xaxis.set_major_formatter(lambda steps, _: f"{steps:,.0f}")
    axis.locator_params(axis="x", nbins=5)  # numbers of six digits need the room
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(y=0.08)


def _known(group: Group, column: str) -> dict[float, list[str]]:
    """The exact values to be drawn; names of values that cannot be told apart stand together."""
    known: dict[float, list[str]] = {}
    for each in group.exact:
        value = each.welfare if column == "welfare" else each.payment
        if each.kind == FINITE and each.name in EXACT and value is not None:
            close = (other for other in known if abs(other - value) <= CLOSE * abs(value))
            known.setdefault(next(close, value), []).append(EXACT[each.name])
    return known


def _draw(axis: Any, line: Line, column: str, where: dict[str, Path], colour: str, style: str) -> None:
    """The line's mean and band; nothing in the panel of payments where nobody pays."""
    if column != "welfare" and not any(line.values(PAYMENT).values()):
        return
    folders = [where[row.run] for row in line.seeds.values() if row.run in where]
    found = curve(folders, column, line.first.steps)
    known = ~np.isnan(found.seeds).all(axis=0)
    steps, seeds = found.steps[known], found.seeds[:, known]
    axis.plot(steps, np.nanmean(seeds, axis=0), style, color=colour, linewidth=1.6, label=line.label)
    axis.fill_between(steps, np.nanmin(seeds, axis=0), np.nanmax(seeds, axis=0), color=colour, alpha=0.15, linewidth=0)

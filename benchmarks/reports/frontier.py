"""The frontier: the welfare of fresh agents against what the principal pays, a point for every mechanism."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...core.config import UsageError
from ..analysis.comparison import Comparison
from ..analysis.groups import Group, Line
from ..files import atomic_file
from ..measures.columns import PAYMENT, WELFARE
from ..measures.exact_solutions import OPTIMUM, Exact
from ..measures.statistics import ENOUGH, Estimate
from .styles import Style, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

FRONTIER = "frontier.png"
FAR = 3.0  # an exact solution that pays more than so many times any mechanism is named at the edge, not to scale
PLACES = (  # of a point's name, the better first: how far right and up of it, in points, and on which side it stands
    (7, 5, "left"), (-7, -12, "right"), (7, -12, "left"), (-7, 5, "right"), (0, 12, "center"), (0, -19, "center"),
    (7, 16, "left"), (-7, -23, "right"), (7, -23, "left"), (-7, 16, "right"), (0, 24, "center"), (0, -31, "center"),
)  # fmt: skip
GREY = "0.35"  # of exact solutions
MARK = 6  # half the size of a mark, in pixels


class Ends(NamedTuple):
    """A mean and the ends of its interval, which are the mean itself for one seed or two and for exact solutions."""

    low: float
    mean: float
    high: float

    @staticmethod
    def of(estimate: Estimate) -> Ends:
        known = estimate.seeds >= ENOUGH  # of two seeds an interval covers the picture
        return Ends(estimate.low, estimate.mean, estimate.high) if known else Ends.at(estimate.mean)

    @staticmethod
    def at(value: float) -> Ends:
        return Ends(value, value, value)


class Point(NamedTuple):
    """A mark with its intervals and its name."""

    name: str
    payment: Ends
    welfare: Ends
    colour: str


class ExactPoints(NamedTuple):
    """The exact solutions of a group: the welfare of the optimum, and those that pay."""

    optimum: float | None
    near: list[Point]
    far: list[Point]  # that pay so much that they would not fit the picture


def draw_frontier(comparison: Comparison, out: Path) -> Path:
    """Draw welfare against payment, means over seeds with their intervals, a panel for each game in which anybody pays.

    A mechanism and a learner are one series, whatever the parameters. Stars are exact solutions that all agents obey.
    Raises UsageError where no principal pays, or where nothing can be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = [group for group in comparison.groups if pays(group)]
    if not groups:
        raise UsageError("there is no principal that pays")
    paying = (line for group in groups for line in group.lines if _pays(line))
    looks = styles(comparison, ((line.first.mechanism, _label(line)) for line in paying))
    figure = Figure(figsize=(10, 5.6 * len(groups)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(groups), squeeze=False)[:, 0]
    points = [_panel(axis, group, looks) for axis, group in zip(axes, groups, strict=True)]
    figure.draw_without_rendering()  # names are written when everything else stands where it will
    for axis, each in zip(axes, points, strict=True):
        _write_names(axis, each)
    with atomic_file(out) as partial:
        figure.savefig(partial, format="png", dpi=120)
    return out


def pays(group: Group) -> bool:
    """Whether the principal of any mechanism pays."""
    return any(map(_pays, group.lines))


def _pays(line: Line) -> bool:
    return line.estimate(PAYMENT).mean > 0.0


def _label(line: Line) -> str:
    return f"{line.first.mechanism}/{line.algorithm}"


def _panel(axis: Axes, group: Group, looks: dict[str, Style]) -> list[Point]:
    """Draw everything but the names of the points, and return the points."""
    points = _solutions(axis, group)
    for label, style in looks.items():
        lines = [line for line in group.lines if _label(line) == label and _pays(line)]
        if lines:
            points += _series(axis, label, lines, style)
    axis.set_title(f"{group.short}: welfare of fresh agents, and what it costs", loc="left", fontsize=11)
    axis.set_xlabel("principal's payment in an episode")
    axis.set_ylabel("welfare of an episode")
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.08, y=0.1)
    axis.legend(loc="lower right", fontsize=9, frameon=False)
    return points


def _series(axis: Axes, label: str, lines: list[Line], style: Style) -> list[Point]:
    points = [point_of(line, line.name.removeprefix(line.first.mechanism).strip(), style.colour) for line in lines]
    paid, welfare = [point.payment for point in points], [point.welfare for point in points]
    axis.errorbar(
        [each.mean for each in paid], [each.mean for each in welfare], xerr=_bars(paid), yerr=_bars(welfare),
        fmt=style.mark, color=style.colour, markersize=6, linewidth=0.8, label=label,
    )  # fmt: skip
    return points


def point_of(line: Line, name: str, colour: str) -> Point:
    """The point of a line: its payment and its welfare, means over seeds with their intervals."""
    return Point(name, Ends.of(line.estimate(PAYMENT)), Ends.of(line.estimate(WELFARE)), colour)


def _bars(ends: list[Ends]) -> list[list[float]]:
    return [[each.mean - each.low for each in ends], [each.high - each.mean for each in ends]]


def _write_names(axis: Axes, points: list[Point]) -> None:
    """Write each name beside its point, where it covers least of what is already drawn or written."""
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import Bbox

    written = [text.get_window_extent() for text in axis.texts]
    if legend := axis.get_legend():
        written.append(legend.get_window_extent())
    marks, bars = [], []
    for point in points:
        low, (x, y), high = axis.transData.transform(list(zip(point.payment, point.welfare, strict=True)))
        marks.append(Bbox.from_extents(x - MARK, y - MARK, x + MARK, y + MARK))
        bars += [Bbox.from_extents(low[0], y - 1, high[0], y + 1), Bbox.from_extents(x - 1, low[1], x + 1, high[1])]

    def covered(text: Annotation) -> float:
        box = text.get_window_extent()
        outside = box.x0 < axis.bbox.x0 or box.x1 > axis.figure.bbox.x1
        names, hidden, crossed = (box.count_overlaps(boxes) for boxes in (written, marks, bars))
        return 10.0 * (outside + names) + 5.0 * hidden + crossed

    for point in sorted(points, key=lambda point: -len(point.name)):  # long names have fewer places
        texts = [
            axis.annotate(
                point.name, (point.payment.mean, point.welfare.mean), (right, up), textcoords="offset points",
                fontsize=8, color=point.colour, ha=side, path_effects=[withStroke(linewidth=2, foreground="white")],
            )
            for right, up, side in PLACES
        ]  # fmt: skip
        best = min(texts, key=covered)
        for text in texts:
            if text is not best:
                text.remove()
        written.append(best.get_window_extent())


def _solutions(axis: Axes, group: Group) -> list[Point]:
    """Draw the exact solutions that pay, and the optimum as a line."""
    known = exact_points(group)
    if known.optimum is not None:
        axis.axhline(known.optimum, color="0.5", linewidth=0.8, zorder=0)
        axis.annotate(
            OPTIMUM, (0.0, known.optimum), (4, -11), xycoords=("axes fraction", "data"), textcoords="offset points",
            fontsize=8, color=GREY,
        )  # fmt: skip
    for each in known.far:
        axis.annotate(
            f"{each.name}, at {each.payment.mean:.0f} \N{RIGHTWARDS ARROW}", (1.0, each.welfare.mean), (0, -28),
            xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8, color=GREY, ha="right",
        )  # fmt: skip
    for each in known.near:
        axis.plot(each.payment.mean, each.welfare.mean, "*", color=GREY, markersize=11, zorder=1)
    return known.near


def exact_points(group: Group) -> ExactPoints:
    """The exact solutions of the game that learners are given; approximate ones are left out."""
    far = FAR * max(line.estimate(PAYMENT).mean for line in group.lines)
    optimum, points = None, list[Point]()
    for each in group.given:
        if not each.counts or each.welfare is None:
            continue
        if each.name == OPTIMUM:
            optimum = each.welfare
        elif each.payment is not None:
            points.append(Point(_solution_name(each), Ends.at(each.payment), Ends.at(each.welfare), GREY))
    return ExactPoints(
        optimum,
        [each for each in points if each.payment.mean <= far],
        [each for each in points if each.payment.mean > far],
    )


def _solution_name(solution: Exact) -> str:
    return f"exact: {solution.label.removeprefix('principal, ')}"

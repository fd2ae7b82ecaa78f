"""The look of mechanisms in the pictures of a comparison: each has one colour in all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..analysis.comparison import Comparison
from ..measures.columns import PAYMENT

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")  # Okabe and Ito 2008
DASHES = ("-", "--", ":", "-.")
MARKS = "osD^vPX"
PALER = 0.3  # how much nearer to white the next series of a colour are when every dash has been used


class Style(NamedTuple):
    """How a series is drawn."""

    colour: str
    dash: str  # of its line
    mark: str  # of its points


def styles(comparison: Comparison, labels: Iterable[tuple[str, str]]) -> dict[str, Style]:
    """The styles of series by label, given their (mechanism, label).

    Mechanisms take colours in the order in which they appear in the comparison, those that pay first. The series of
    one mechanism, that is its learners and parameters, differ in dash and mark.
    """
    lines = [line for group in comparison.groups for line in group.lines]
    lines.sort(key=lambda line: not any(line.values(PAYMENT).values()))
    mechanisms = list(dict.fromkeys(line.first.mechanism for line in lines))
    found: dict[str, Style] = {}
    drawn = [0] * len(COLOURS)  # series of each colour, which more mechanisms than colours share
    for mechanism, label in dict.fromkeys(labels):
        colour = mechanisms.index(mechanism) % len(COLOURS)
        series = drawn[colour]
        drawn[colour] += 1
        shade = _paler(COLOURS[colour], PALER * (series // len(DASHES)))
        found[label] = Style(shade, DASHES[series % len(DASHES)], MARKS[(colour + series) % len(MARKS)])
    return found


def _paler(colour: str, way: float) -> str:
    """The colour `#rrggbb` moved by a part of the `way` to white, 0.75 at most."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * min(way, 0.75)):02X}" for part in parts)

"""The look of mechanisms in the pictures of a comparison: each has one colour in all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..analysis.comparison import Comparison

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")  # Okabe and Ito 2008
DASHES = ("-", "--", ":", "-.")
MARKS = "osD^vPX"
PALER = 0.3  # of the way to white: the next variants of a mechanism that has more variants than there are dashes


class Style(NamedTuple):
    """How a series is drawn."""

    colour: str
    dash: str  # of its line
    mark: str  # of its points


def styles(comparison: Comparison, labels: Iterable[tuple[str, str]]) -> dict[str, Style]:
    """The styles of series by label, given their (mechanism, label).

    Mechanisms take colours in the order in which they appear in the comparison. The series of one mechanism, that is
    its learners and parameters, differ in dash and mark.
    """
    mechanisms = list(dict.fromkeys(line.first.mechanism for group in comparison.groups for line in group.lines))
    found: dict[str, Style] = {}
    variants = dict.fromkeys(mechanisms, 0)
    for mechanism, label in dict.fromkeys(labels):
        order, variant = mechanisms.index(mechanism), variants[mechanism]
        variants[mechanism] += 1
        turn = variant + order // len(COLOURS)  # who shares a colour begins with another dash
        colour = _paler(COLOURS[order % len(COLOURS)], PALER * (variant // len(DASHES)))
        found[label] = Style(colour, DASHES[turn % len(DASHES)], MARKS[(order + variant) % len(MARKS)])
    return found


def _paler(colour: str, way: float) -> str:
    """`#rrggbb`, part of the `way` to white; at most 0.75 of it."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * min(way, 0.75)):02X}" for part in parts)

"""The league as tables: all mechanisms in a family of games with one learner, and all that stand in one game."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from ...baselines import MECHANISMS
from ...core.config import UsageError, did_you_mean
from ..analysis.league import MONEY, League, Place
from ..measures.columns import COLUMNS
from ..measures.statistics import ENOUGH
from .comparison_rows import steps_of
from .text_table import Rows, columns, line_width

LONGEST = 18  # characters of a line of a cell
MORE = "paymaster league tells them"
LEGEND = (
    "A cell says how much of the gap from selfish agents of the same learner, budget and table (0%) to the optimum "
    "(100%) the mechanism closes, by the means over seeds, with the reach of its 95% interval (none for fewer than "
    "three seeds, and where none varies). Where a principal has a return of its own, that counts too. Where no "
    "optimum is known (*), 100% is what joint agents of the same learner reach, and a mechanism may do better. Of "
    "several lines of a mechanism in a table the best stands here: choosing it flatters those with many. A mechanism "
    "that learns had steps of its own before, which rankings show behind those of the agents. Mechanisms do not stand "
    "in the same games and tables, so there is no total."
)


def matrix(places: Sequence[Place]) -> Rows:
    """The head, games of one family with their tables, and a row for each mechanism: how much of a gap is closed."""
    shown = {(place.game, place.table): None for place in places}
    cells = {(place.mechanism, place.game, place.table): _cell(place) for place in places}
    return [
        ["mechanism", *(f"{game.partition('/')[2]} ({table})" for game, table in shown)],
        *([mechanism, *(cells.get((mechanism, *each), "") for each in shown)] for mechanism in _in_order(places)),
    ]


def ranking(places: Sequence[Place]) -> Rows:
    """The head and the places of one game, what closes most first, with the amounts of each kind of money."""
    kinds = [name for name in MONEY if any(name in place.money for place in places)]
    head = [
        "line",
        "learner",
        "table",
        "steps",
        "gap closed",
        *(COLUMNS[name].head for name in kinds),
        "seeds",
        "best of",
    ]
    ordered = sorted(places, key=lambda place: -place.closed.mean)
    rows = [
        [
            place.line.name, place.learner, place.table, steps_of(place.line), _cell(place),
            *(COLUMNS[name].text(place.money.get(name)) for name in kinds), str(place.closed.seeds), str(place.lines),
        ]
        for place in ordered
    ]  # fmt: skip
    return [head, *rows]


def text(league: League, game: str | None) -> str:
    """The league for a terminal: a table for each family of games and learner, or the rankings of `game`.

    Raises UsageError for a game in which nothing stands.
    """
    width = line_width()
    if game is None:
        tables = (
            f"{title}\n\n{columns(matrix(places), width, keys=1, longest=LONGEST)}"
            for title, places in by_family(league.places).items()
        )
        left_out = [f"Left out: {'; '.join(league.left_out)}."] * bool(league.left_out)
        more = "The money that each moves: `paymaster league --game GAME`."
        return "\n\n".join([*tables, *(textwrap.fill(each, width) for each in (LEGEND, *left_out, more))])
    chosen = games_of(league.places, game)
    if not chosen:
        raise UsageError(did_you_mean("game of the league", game, {place.game for place in league.places}, MORE))
    parts = [f"{name}\n\n{columns(ranking(places), width)}" for name, places in chosen.items()]
    return "\n\n".join([*parts, textwrap.fill(LEGEND, width)])


def by_family(places: Iterable[Place]) -> dict[str, list[Place]]:
    """The places of each family of games and each learner in it, by what stands above their table."""
    found: dict[str, list[Place]] = {}
    for place in sorted(places, key=lambda place: place.family):
        found.setdefault(f"{place.family}, {place.learner} agents", []).append(place)
    return found


def games_of(places: Iterable[Place], game: str | None = None) -> dict[str, list[Place]]:
    """The places by game; with `game` those of a preset, or of a family, under whatever rules."""
    found: dict[str, list[Place]] = {}
    for place in places:
        if game in (None, place.game, place.game.partition(",")[0], place.family):
            found.setdefault(place.game, []).append(place)
    return found


def _in_order(places: Iterable[Place]) -> list[str]:
    """Their mechanisms in the order of the registry, those of plugins last."""
    known = list(MECHANISMS)
    own = {place.mechanism for place in places}
    return [*(id for id in known if id in own), *sorted(own - set(known))]


def _cell(place: Place) -> str:
    closed = place.closed
    reach = (closed.high - closed.low) / 2
    told = f" ±{reach:.0%}" if closed.seeds >= ENOUGH and reach > 0.0 else ""
    return f"{closed.mean:.0%}{told}{' *' * (not place.exact)}"

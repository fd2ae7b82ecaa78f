"""The league: how much of the gap from selfish agents to the optimum each mechanism closes, and with which money."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...core.config import UsageError
from ..measures.columns import PAYMENT, WELFARE
from ..measures.exact_solutions import OPTIMUM, Exact
from ..measures.statistics import ENOUGH, ERROR, Estimate, contrast, estimate, fraction_closed
from ..provenance import REFERENCE, ROOT
from .comparison import BASE, compare
from .groups import JOINT, Group, Line
from .lines import base_of, named, usual_steps

MONEY = (PAYMENT, "taxes", "transfer_volume", "shaping")  # columns, each a kind of its own
RETURN = "principal_return"
TIE = 1e-9  # of rewards: a gap below it is none


class Place(NamedTuple):
    """The best line of a mechanism in a game of one table, with one learner."""

    mechanism: str
    game: str  # with the rules that are not those of its preset
    table: str  # what it stands in: its base, its budget and its optimum are those of that table
    learner: str
    closed: Estimate  # 0 for selfish agents of the same learner and budget, 1 for the optimum
    money: dict[str, float]  # the mean of each column of `MONEY` in an episode, where there is any
    line: Line
    lines: int  # of the mechanism in the table, the best of which this is
    exact: bool  # whether the optimum is exact; else it is what `joint` agents of the same learner reach

    @property
    def family(self) -> str:
        """The game's family."""
        return self.game.partition("/")[0]


class League(NamedTuple):
    """All places, and what there is no place for."""

    places: list[Place]
    left_out: list[str]  # a sentence each


def league(*paths: str | Path) -> League:
    """The places of the mechanisms in tables and folders; in the reference tables unless given.

    A gap is measured within one table, from selfish agents of the same learner and budget; lines of other budgets than
    most of their table have no place. What is at stake is the sum of the agents' rewards, and where a principal has a
    return of its own that return too. Raises UsageError where there is nothing to compare.
    """
    places: list[Place] = []
    left_out: list[str] = []
    for path in [Path(path) for path in paths] or reference_tables():
        comparison = compare(path, solve=path.is_dir())
        left_out += comparison.damaged
        known, table = _optima(path, comparison.groups), _called(path)
        for group in comparison.groups:
            optimum = known.get(_key(group.game, group.rules))
            found = list(_places(group, table, optimum))
            left_out += [] if found else [f"{group.short} of {table}: {_why_not(group, optimum)}"]
            places += found
    return League(_best(places), left_out)


def reference_tables() -> list[Path]:
    """The tables that come with the project."""
    return sorted((ROOT / REFERENCE).glob("*.csv"))


def _called(path: Path) -> str:
    """A reference table by its name, and one's own by its path, which may end alike."""
    return path.stem if path.parent == ROOT / REFERENCE else str(path)


def at_stake(line: Line) -> np.ndarray:
    """(S,): the welfare of each seed, and the principal's own return, where it has one, before it pays."""
    own = line.values(RETURN)
    return np.array([value + own.get(seed, 0.0) for seed, value in line.values(WELFARE).items()])


def _places(group: Group, table: str, optimum: float | None) -> Iterator[Place]:
    bases = named(group.lines, BASE)
    joint = [line for line in group.lines if line.first.mechanism == JOINT]
    usual = usual_steps(group.lines)
    for line in group.lines:
        base, team = (base_of(line, each, line.first.steps) for each in (bases, joint))
        if base is None or line in bases or (usual is not None and line.first.steps not in (0, usual)):
            continue
        if optimum is not None:
            top: np.ndarray | float = optimum
        elif team is not None and team is not line:
            top = at_stake(team)
        else:
            continue
        if _established(at_stake(base), top):
            money = {name: mean for name in MONEY if (mean := line.estimate(name).mean) and not np.isnan(mean)}
            closed = fraction_closed(at_stake(line), at_stake(base), top)
            mechanism, known = line.first.mechanism, optimum is not None
            yield Place(mechanism, group.short, table, line.algorithm, closed, money, line, 1, known)


def _established(base: np.ndarray, top: np.ndarray | float) -> bool:
    """Whether there is a gap, by its own interval; of a single seed below an exact optimum by its value."""
    if isinstance(top, float):
        below = estimate(base)
        return bool(below.mean + TIE < top and not below.high >= top)
    low, _ = contrast(top, base).within(ERROR)
    return bool(low > 0.0)


def _best(places: Sequence[Place]) -> list[Place]:
    """For each mechanism, game, table and learner the place that closes most, in the order of appearance.

    Lines with enough seeds for a verdict come first.
    """
    found: dict[tuple[str, str, str, str], list[Place]] = {}
    for place in places:
        found.setdefault((place.mechanism, place.game, place.table, place.learner), []).append(place)
    return [max(each, key=_rank)._replace(lines=len(each)) for each in found.values()]


def _rank(place: Place) -> tuple[bool, float]:
    return place.closed.seeds >= ENOUGH, place.closed.mean


def _why_not(group: Group, optimum: float | None) -> str:
    if not named(group.lines, BASE):
        return "no selfish agents stand beside what is there"
    if optimum is None and not any(line.first.mechanism == JOINT for line in group.lines):
        return "neither an exact optimum nor joint agents stand there"
    return "it is not established that selfish agents stay below what is best, or nothing else has their budget"


def _optima(path: Path, groups: Sequence[Group]) -> Mapping[str, float]:
    """The exact optimum by game and rules: of a folder what was solved, of a table what stands beside it."""
    known = {_key(group.game, group.rules): group.given for group in groups}
    solved = known if path.is_dir() else _beside(path)
    return {
        key: found[0].welfare + (found[0].principal_return or 0.0)
        for key, found in solved.items()
        if found and found[0].name == OPTIMUM and found[0].welfare is not None
    }


def _beside(table: Path) -> dict[str, list[Exact]]:
    """The solutions in the JSON file beside a table, by game and rules; none where there is no such file."""
    path = table.with_suffix(".json")
    try:
        solved = json.loads(path.read_text(encoding="utf-8"))["exact"]
        return {_key(each["game"], each["rules"]): [Exact(**one) for one in each["solutions"]] for each in solved}
    except FileNotFoundError:
        return {}
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is damaged: {type(error).__name__}: {error}") from None


def _key(game: str, rules: Mapping[str, object]) -> str:
    return f"{game} {json.dumps(rules, sort_keys=True)}"

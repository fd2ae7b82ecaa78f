"""The league: how much of the gap from selfish agents to the optimum each mechanism closes, and with which money."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...core.config import UsageError
from ...envs import make
from ..measures.columns import PAYMENT
from ..measures.exact_solutions import OPTIMUM, exact
from ..measures.statistics import ENOUGH, Estimate, fraction_closed
from ..provenance import REFERENCE, ROOT
from .comparison import BASE, compare
from .groups import JOINT, Group, Line, welfare_of
from .lines import base_of, named

MONEY = (PAYMENT, "taxes", "transfer_volume", "shaping")  # columns, each a kind of its own
SMALLEST = 0.02  # a gap of less than this share of what is at stake is none


class Place(NamedTuple):
    """The best line of a mechanism in a game, with one learner."""

    mechanism: str
    game: str  # with the rules that are not those of its preset
    learner: str
    closed: Estimate  # 0 for selfish agents of the same learner and budget, 1 for the optimum
    money: dict[str, float]  # the mean of each column of `MONEY` in an episode, where there is any
    line: Line
    lines: int  # of the mechanism in the game, the best of which this is
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

    Lines without selfish agents of the same learner and budget have no place: there is nothing to measure a gap from.
    Raises UsageError where there is nothing to compare.
    """
    places: list[Place] = []
    left_out: list[str] = []
    nowhere: dict[str, str] = {}  # why, by game
    for path in [Path(path) for path in paths] or reference_tables():
        comparison = compare(path, solve=False)
        left_out += comparison.damaged
        known = _optima(path, comparison.groups)
        for group in comparison.groups:
            found = list(_places(group, known.get(_key(group.game, group.rules))))
            nowhere |= {} if found else {group.short: _why_not(group)}
            places += found
    games = {place.game for place in places}
    left_out += [f"{game}: {why}" for game, why in nowhere.items() if game not in games]
    return League(_best(places), left_out)


def reference_tables() -> list[Path]:
    """The tables that come with the project."""
    return sorted((ROOT / REFERENCE).glob("*.csv"))


def _places(group: Group, optimum: float | None) -> Iterator[Place]:
    bases = named(group.lines, BASE)
    joint = [line for line in group.lines if line.first.mechanism == JOINT]
    for line in group.lines:
        base = base_of(line, bases, line.first.steps)
        if base is None or line in bases:
            continue
        if optimum is not None:
            top = np.array([optimum])
        elif (team := base_of(line, joint, line.first.steps)) not in (None, line):
            top = welfare_of(team)
        else:
            continue
        if top.mean() - welfare_of(base).mean() > SMALLEST * max(abs(top.mean()), abs(welfare_of(base).mean())):
            money = {name: mean for name in MONEY if (mean := line.estimate(name).mean) and not np.isnan(mean)}
            closed = fraction_closed(welfare_of(line), welfare_of(base), top)
            yield Place(line.first.mechanism, group.short, line.algorithm, closed, money, line, 1, optimum is not None)


def _best(places: Sequence[Place]) -> list[Place]:
    """For each mechanism, game and learner the place that closes most, in the order of appearance.

    Lines with enough seeds for a verdict come first.
    """
    found: dict[tuple[str, str, str], list[Place]] = {}
    for place in places:
        found.setdefault((place.mechanism, place.game, place.learner), []).append(place)
    return [max(each, key=_rank)._replace(lines=len(each)) for each in found.values()]


def _rank(place: Place) -> tuple[bool, float]:
    return place.closed.seeds >= ENOUGH, place.closed.mean


def _why_not(group: Group) -> str:
    if not named(group.lines, BASE):
        return "no selfish agents stand beside what is there"
    return "selfish agents reach what is best there, or it is not known"


def _optima(path: Path, groups: Sequence[Group]) -> Mapping[str, float]:
    """The exact optimum by game and rules: what stands beside a table, and what is solved for a folder."""
    if path.is_dir():
        solved = {_key(group.game, group.rules): exact(make(group.game, **group.rules)) for group in groups}
        return {
            key: each.welfare for key, solutions in solved.items()
            for each in solutions[:1] if each.name == OPTIMUM and each.welfare is not None
        }  # fmt: skip
    try:
        solved_games = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["exact"]
        first = {_key(each["game"], each["rules"]): each["solutions"][:1] for each in solved_games}
        return {
            key: float(solutions[0]["welfare"]) for key, solutions in first.items()
            if solutions and solutions[0]["name"] == OPTIMUM
        }  # fmt: skip
    except FileNotFoundError:
        return {}
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise UsageError(f"{path.with_suffix('.json')} is damaged: {type(error).__name__}: {error}") from None


def _key(game: str, rules: Mapping[str, object]) -> str:
    return f"{game} {json.dumps(rules, sort_keys=True)}"

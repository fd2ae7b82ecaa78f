"""Runs beside each other: only what was played under the same rules is put together, and what differs is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.config import UsageError, nearest, plain
from ..envs import make
from . import tables
from .audit import Money, regret
from .exact import ALPHA, BEST_RATE, FINITE, HIGHEST, OPTIMUM, PRINCIPAL, SAME, Exact, exact
from .metrics import utility
from .statistics import Estimate, estimate, fraction_solved, interquartile_mean, paired_difference
from .tables import Evaluated, Published

BASE = "selfish"  # what differences are taken to unless told otherwise
JOINT = "joint"  # the mechanism under which agents want the welfare itself
SOLVED = 0.5  # a seed is solved where it closes half of the gap from the selfish equilibrium to the optimum, or more
NEAR = 0.9  # ... or, where no equilibrium is known, where its welfare is this part of joint's, or more

Sourced = tuple[str, Evaluated]  # and the folder or table that it was read from

METRICS: dict[str, Callable[[Evaluated], float | None]] = {
    "welfare": lambda row: row.welfare,
    "payment": lambda row: row.principal_payment,
    "payment share": lambda row: row.payment_share,
    "transfer volume": lambda row: row.transfer_volume,
    "equality": lambda row: row.equality,
    "compliance": lambda row: row.compliance,
    "acceptance": lambda row: row.acceptance,
    "principal return": lambda row: row.principal_return,
    "utility": lambda row: utility(row.welfare, row.principal_payment, ALPHA, row.principal_return),
    "states right": lambda row: row.states_right,
}
AUDITED: dict[str, Callable[[Evaluated], float | None]] = {  # what an audit tells
    "followed": lambda row: row.followed_welfare,
    "followed payment": lambda row: row.followed_payment,
    "gain now": lambda row: row.followed_gain_now,
    "gain": lambda row: row.followed_gain,
    "SPE ratio": lambda row: row.spe_ratio,
    "IC ratio": lambda row: row.ic_ratio,
    "worst equilibrium": lambda row: row.worst_welfare,
    "learned gain": lambda row: row.learned_gain,
    "deviation regret": lambda row: row.deviation_regret,
}
DISTANCES: dict[str, Callable[[Evaluated], float | None]] = {  # to exact benchmarks
    "welfare to spe": lambda row: row.welfare_regret_spe,
    "payment to spe": lambda row: row.payment_regret_spe,
    "welfare to best rate": lambda row: row.welfare_regret_best_rate,
    "payment to best rate": lambda row: row.payment_regret_best_rate,
}
EVERY = METRICS | AUDITED | DISTANCES
BENCHMARKS = {"spe": PRINCIPAL, "best_rate": BEST_RATE}  # the exact solutions that regrets are told to


class Line(NamedTuple):
    """A mechanism and a learner: all seeds of one variant."""

    name: str
    algorithm: str
    source: str  # the table or folder, where the same seed stands in several
    seeds: dict[int, Evaluated]

    @property
    def first(self) -> Evaluated:
        return next(iter(self.seeds.values()))

    @property
    def label(self) -> str:
        return f"{self.name}/{self.algorithm}" + (f" ({self.source})" if self.source else "")

    def values(self, metric: str) -> dict[int, float]:
        """The metric of each seed that has one."""
        found = {seed: EVERY[metric](row) for seed, row in sorted(self.seeds.items())}
        return {seed: value for seed, value in found.items() if value is not None}

    def estimate(self, metric: str) -> Estimate:
        return estimate(np.array(list(self.values(metric).values())))


class Difference(NamedTuple):
    """A line's welfare less that of the line it is compared to, seed by seed."""

    base: str  # its label
    estimate: Estimate


class Interquartile(NamedTuple):
    """A line's score over several games."""

    estimate: Estimate
    games: int


class Group(NamedTuple):
    """Everything that was played under the same rules."""

    game: str
    version: int
    rules: dict[str, Any]
    horizon: int
    agents: int
    exact: list[Exact]  # empty where the game has no table
    lines: list[Line]
    differences: dict[str, Difference]  # by label; none for the line that others are compared to

    @property
    def title(self) -> str:
        told = [f"{rule} {value}" for rule, value in self._changed.items() if rule not in ("horizon", "players")]
        told += [f"horizon {self.horizon}", f"{self.agents} agents"]
        return f"{self.game}, version {self.version}: {', '.join(told)}"

    @property
    def short(self) -> str:
        """The game, and the rules that are not those of its preset."""
        return ", ".join([self.game, *(f"{rule} {value}" for rule, value in self._changed.items())])

    @property
    def _changed(self) -> dict[str, Any]:
        preset = _preset(self.game)
        return {rule: value for rule, value in self.rules.items() if preset.get(rule) != value}

    def scores(self, line: Line) -> np.ndarray:
        """(S,): 0 at the selfish equilibrium of highest welfare, 1 at the optimum; empty where they are not known."""
        if self._gap is None:
            return np.array([])
        low, high = self._gap
        return (_welfare(line) - low) / (high - low)

    @property
    def solved_from(self) -> float | None:
        """The welfare from which a seed counts as solved; None where nothing tells.

        Half of the gap from the selfish equilibrium of highest welfare to the optimum. Where the game has no table,
        90% of the mean under `joint`, of the learner that does best there.
        """
        if self._gap is not None:
            low, high = self._gap
            return low + SOLVED * (high - low)
        joint = [float(_welfare(line).mean()) for line in self.lines if line.first.mechanism == JOINT]
        return NEAR * max(joint) if joint and max(joint) > 0 and not self.exact else None

    def solved(self, line: Line) -> float | None:
        """The part of the seeds with a welfare of at least `solved_from`; None where there is none."""
        least = self.solved_from
        return None if least is None else fraction_solved(_welfare(line), least)

    @property
    def _gap(self) -> tuple[float, float] | None:
        """Welfare at the selfish equilibrium of highest welfare and at the optimum; None unless they differ."""
        known = {each.name: each.welfare for each in self.exact if each.kind == FINITE}
        if not known.keys() >= {OPTIMUM, HIGHEST} or isclose(known[OPTIMUM], known[HIGHEST], abs_tol=SAME):
            return None
        return known[HIGHEST], known[OPTIMUM]


class Comparison(NamedTuple):
    """What `paymaster compare` shows."""

    groups: list[Group]
    against: str | None
    across: dict[str, Interquartile]  # by label
    published: list[Published]
    notes: list[str]  # which rules and settings differ
    damaged: list[str]
    rows: list[Evaluated]


def compare(*paths: str | Path, against: str | None = None, solve: bool = True) -> Comparison:
    """Compare the evaluated runs in folders and tables.

    `against` names the mechanism, or the mechanism/learner, to which differences are taken, seed by seed: selfish
    unless told. With `solve` the exact solutions of games that have a table are computed. Raises UsageError where
    there is nothing to compare, or nothing of that name.
    """
    rows, published, damaged = _read([Path(path) for path in paths])
    if not rows and not published:
        raise UsageError("; ".join(["nothing is left to compare", *damaged]))
    groups = [_group(each, against or BASE, solve) for each in _by_rules(rows)]
    if against is not None:
        _check_against(against, groups)
    families = {group.game.partition("/")[0] for group in groups}
    known = tables.read(tables.PUBLISHED)[1]
    published += [row for row in known if row.game.partition("/")[0] in families and row not in published]
    notes = [*_different_rules(groups), *(note for group in groups for note in _different_settings(group))]
    return Comparison(groups, against, _across(groups), published, notes, damaged, [row for _, row in rows])


def _read(paths: Sequence[Path]) -> tuple[list[Sourced], list[Published], list[str]]:
    rows: list[Sourced] = []
    published: list[Published] = []
    damaged: list[str] = []
    for path in paths:
        more, others, faults = tables.read(path)
        rows += [row for row in more if row not in rows]
        published += others
        damaged += faults
    return rows, published, damaged


def _by_rules(rows: Iterable[Sourced]) -> list[list[Sourced]]:
    """The rows, put together where game, version and every rule are the same, in order of appearance."""
    groups: dict[str, list[Sourced]] = {}
    for source, row in rows:
        key = repr((row.game, row.game_version, sorted(row.rules.items()), row.horizon, row.agents))
        groups.setdefault(key, []).append((source, row))
    return list(groups.values())


def _group(rows: list[Sourced], against: str, solve: bool) -> Group:
    first = rows[0][1]
    solutions = exact(make(first.game, **first.rules)) if solve and _current(first) else []
    lines = _lines([(source, _with_regrets(row, solutions)) for source, row in rows])
    found = {line.label: _difference(line, _bases(lines, against)) for line in lines}
    differences = {label: difference for label, difference in found.items() if difference}
    return Group(
        first.game, first.game_version, first.rules, first.horizon, first.agents, solutions, lines, differences
    )


def _lines(rows: list[Sourced]) -> list[Line]:
    """The seeds of each variant, by source where two sources hold the same seed; the highest welfare first."""
    variants: dict[str, list[Sourced]] = {}
    for source, row in rows:
        variants.setdefault(row.variant, []).append((source, row))
    lines = []
    for each in variants.values():
        seeds = [row.seed for _, row in each]
        sources = sorted({source for source, _ in each}) if len(set(seeds)) < len(seeds) else [""]
        for source in sources:
            own = {row.seed: row for where, row in each if source in ("", where)}
            first = next(iter(own.values()))
            lines.append(Line(first.name, first.algorithm, source, own))
    return sorted(lines, key=lambda line: -line.estimate("welfare").mean)


def _with_regrets(row: Evaluated, solutions: list[Exact]) -> Evaluated:
    """The row with its distances to the benchmarks among the `solutions`, which its audit may have told of other ones.

    The first solution of a name counts: that of the game which learners are given.
    """
    evaluated = Money(welfare=row.welfare, payment=row.principal_payment)
    distances: dict[str, Any] = {}
    for benchmark, name in BENCHMARKS.items():
        known = next((each for each in solutions if each.name == name), None)
        if known and known.payment is not None and known.principal_return is None:
            apart = regret(evaluated, Money(welfare=known.welfare, payment=known.payment))
            distances |= {f"{kind}_regret_{benchmark}": value for kind, value in apart}
    return replace(row, **distances)


def _welfare(line: Line) -> np.ndarray:
    """(S,): of each seed."""
    return np.array(list(line.values("welfare").values()))


def _current(row: Evaluated) -> bool:
    """Whether the game still behaves as when the row was made."""
    try:
        return type(make(row.game, **row.rules)).version == row.game_version
    except UsageError:
        return False


def _preset(game: str) -> dict[str, Any]:
    """A game's own rules; none for one that is not known here."""
    try:
        return plain(make(game))
    except UsageError:
        return {}


def _bases(lines: list[Line], against: str) -> list[Line]:
    """The lines that `against` names: a name with its learner, else a name, else a mechanism."""
    for of in (lambda line: f"{line.name}/{line.algorithm}", lambda line: line.name, lambda line: line.first.mechanism):
        found = [line for line in lines if of(line) == against]
        if found:
            return found
    return []


def _difference(line: Line, bases: list[Line]) -> Difference | None:
    """To the base of the same learner and source, where there is one; None for a base itself."""
    if line in bases or not bases:
        return None
    base = max(bases, key=lambda base: (base.algorithm == line.algorithm, base.source == line.source))
    return Difference(base.label, paired_difference(line.values("welfare"), base.values("welfare")))


def _check_against(against: str, groups: list[Group]) -> None:
    names = {name for group in groups for line in group.lines for name in (line.name, f"{line.name}/{line.algorithm}")}
    if not any(_bases(group.lines, against) for group in groups):
        raise UsageError(nearest("mechanism to compare to", against, names))


def _across(groups: list[Group]) -> dict[str, Interquartile]:
    """The interquartile mean of the scores of whatever was played on several games whose solutions are known."""
    scores: dict[str, dict[str, np.ndarray]] = {}
    for group in groups:
        for line in group.lines:
            if len(found := group.scores(line)):
                scores.setdefault(line.label, {})[group.title] = found
    return {
        label: Interquartile(interquartile_mean(games), len(games)) for label, games in scores.items() if len(games) > 1
    }


def _different_rules(groups: list[Group]) -> list[str]:
    """For each two tables of a family of games, what keeps them apart."""
    notes = []
    for index, one in enumerate(groups):
        for other in groups[index + 1 :]:
            if one.game.partition("/")[0] == other.game.partition("/")[0]:
                ours, theirs = ({"version": each.version, **each.rules} for each in (one, other))
                notes.append(f"not put together: {one.game} and {other.game} differ in {_differing(ours, theirs)}")
    return notes


def _different_settings(group: Group) -> list[str]:
    """Lines of one name that are not the same: what they differ in."""
    notes = []
    for index, one in enumerate(group.lines):
        for other in group.lines[index + 1 :]:
            same = (one.name, one.algorithm) == (other.name, other.algorithm)
            if same and one.first.variant != other.first.variant:
                ours, theirs = ({"steps": each.first.steps, **_flat(each.first.settings)} for each in (one, other))
                notes.append(
                    f"not put together: two lines of {one.name}/{one.algorithm} differ in {_differing(ours, theirs)}"
                )
    return notes


def _differing(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    keys = [key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
    return ", ".join(f"{key} ({ours.get(key)} and {theirs.get(key)})" for key in keys) or "nothing that was recorded"


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat

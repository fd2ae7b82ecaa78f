"""Comparing runs: only runs under the same rules share a table, and the differences between tables are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...core.config import UsageError, did_you_mean
from ...envs import make
from ..measures.audit import Money
from ..measures.columns import PAYMENT, WELFARE, distances
from ..measures.exact_solutions import BEST_RATE, PRINCIPAL, Exact, exact
from ..measures.statistics import interquartile_mean, paired_difference
from . import dataset
from .dataset import Dataset, Evaluated, Published
from .groups import Difference, Group, Interquartile, Line

BASE = "selfish"  # the mechanism to which differences are taken by default

Sourced = tuple[str, Evaluated]  # a row behind the folder or the table that it was read from

BENCHMARKS = {"spe": PRINCIPAL, "best_rate": BEST_RATE}  # the exact solutions to which distances are taken


class Comparison(NamedTuple):
    """What `paymaster compare` shows."""

    groups: list[Group]
    against: str | None
    across: dict[str, Interquartile]  # by label
    published: list[Published]
    notes: list[str]  # in which rules and settings tables and lines differ
    damaged: list[str]
    rows: list[Evaluated]


def compare(*paths: str | Path, against: str | None = None, solve: bool = True) -> Comparison:
    """Compare the evaluated runs in folders and tables.

    `against` names the mechanism, or the mechanism/learner, to which differences are taken, seed by seed; it is
    selfish by default. With `solve` the exact solutions of games that have a table of states are computed. Raises
    UsageError where there is nothing to compare, or nothing of that name.
    """
    rows, published, damaged = _read([Path(path) for path in paths])
    if not rows and not published:
        raise UsageError("; ".join(["nothing is left to compare", *damaged]))
    groups = [_group(each, against or BASE, solve=solve) for each in _by_rules(rows)]
    if against is not None:
        _check_against(against, groups)
    families = {group.game.partition("/")[0] for group in groups}
    known = dataset.read(dataset.PUBLISHED).published
    published += [row for row in known if row.game.partition("/")[0] in families and row not in published]
    notes = [*_different_rules(groups), *(note for group in groups for note in _different_settings(group))]
    return Comparison(groups, against, _across(groups), published, notes, damaged, [row for _, row in rows])


def _read(paths: Sequence[Path]) -> Dataset:
    """All that is at the `paths`; a row that stands there twice counts once."""
    everything = Dataset([], [], [])
    for path in paths:
        found = dataset.read(path)
        everything.rows.extend([row for row in found.rows if row not in everything.rows])
        everything.published.extend(found.published)
        everything.damaged.extend(found.damaged)
    return everything


def _by_rules(rows: Iterable[Sourced]) -> list[list[Sourced]]:
    """The rows that share the game, its version and every rule, in the order of appearance."""
    groups: dict[str, list[Sourced]] = {}
    for source, row in rows:
        key = repr((row.game, row.game_version, sorted(row.rules.items()), row.horizon, row.agents))
        groups.setdefault(key, []).append((source, row))
    return list(groups.values())


def _group(rows: list[Sourced], against: str, *, solve: bool) -> Group:
    first = rows[0][1]
    solutions = exact(make(first.game, **first.rules)) if solve and _current(first) else []
    lines = _lines([(source, _with_regrets(row, solutions)) for source, row in rows])
    found = {line.label: _difference(line, _bases(lines, against)) for line in lines}
    differences = {label: difference for label, difference in found.items() if difference}
    return Group(
        first.game, first.game_version, first.rules, first.horizon, first.agents, solutions, lines, differences
    )


def _lines(rows: list[Sourced]) -> list[Line]:
    """A line for each variant, and for each source where two sources hold the same seed; the highest welfare first."""
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
    return sorted(lines, key=lambda line: -line.estimate(WELFARE).mean)


def _with_regrets(row: Evaluated, solutions: list[Exact]) -> Evaluated:
    """The row with its distances to the benchmarks among the `solutions`; they replace those of its audit.

    The first solution of a name counts, which is that of the game that learners are given, unless it is approximate.
    """
    benchmarks = {}
    for benchmark, name in BENCHMARKS.items():
        known = next((each for each in solutions if each.name == name), None)
        if known is None or not known.counts or known.welfare is None or known.payment is None:
            continue
        if known.principal_return is None:
            benchmarks[benchmark] = Money(welfare=known.welfare, payment=known.payment)
    evaluated = Money(welfare=row.metrics[WELFARE], payment=row.metrics[PAYMENT])
    return replace(row, metrics=row.metrics | distances(evaluated, benchmarks))


def _current(row: Evaluated) -> bool:
    """Whether the game still behaves as it did when the row was made."""
    try:
        return type(make(row.game, **row.rules)).version == row.game_version
    except UsageError:
        return False


def _bases(lines: list[Line], against: str) -> list[Line]:
    """The lines that `against` names: as a name with its learner, or else as a name, or else as a mechanism."""
    for of in (lambda line: f"{line.name}/{line.algorithm}", lambda line: line.name, lambda line: line.first.mechanism):
        found = [line for line in lines if of(line) == against]
        if found:
            return found
    return []


def _difference(line: Line, bases: list[Line]) -> Difference | None:
    """The difference to the base of the same learner and source, where there is one; None for a base itself."""
    if line in bases or not bases:
        return None
    base = max(bases, key=lambda base: (base.algorithm == line.algorithm, base.source == line.source))
    return Difference(base.label, paired_difference(line.values(WELFARE), base.values(WELFARE)))


def _check_against(against: str, groups: list[Group]) -> None:
    names = {name for group in groups for line in group.lines for name in (line.name, f"{line.name}/{line.algorithm}")}
    if not any(_bases(group.lines, against) for group in groups):
        raise UsageError(did_you_mean("mechanism to compare to", against, names))


def _across(groups: list[Group]) -> dict[str, Interquartile]:
    """By label, the interquartile mean of the scores over several games whose exact solutions are known."""
    scores: dict[str, dict[str, np.ndarray]] = {}
    for group in groups:
        for line in group.lines:
            if len(found := group.scores(line)):
                scores.setdefault(line.label, {})[group.title] = found
    return {
        label: Interquartile(interquartile_mean(games), len(games)) for label, games in scores.items() if len(games) > 1
    }


def _different_rules(groups: list[Group]) -> list[str]:
    """For each pair of tables of one family of games, the rules in which they differ."""
    notes = []
    for index, one in enumerate(groups):
        for other in groups[index + 1 :]:
            if one.game.partition("/")[0] == other.game.partition("/")[0]:
                ours, theirs = ({"version": each.version, **each.rules} for each in (one, other))
                notes.append(f"not comparable: {one.game} and {other.game} differ in {_differing(ours, theirs)}")
    return notes


def _different_settings(group: Group) -> list[str]:
    """For each pair of lines of one name, the settings in which they differ."""
    notes = []
    for index, one in enumerate(group.lines):
        for other in group.lines[index + 1 :]:
            same = (one.name, one.algorithm) == (other.name, other.algorithm)
            if same and one.first.variant != other.first.variant:
                ours, theirs = ({"steps": each.first.steps, **_flat(each.first.settings)} for each in (one, other))
                notes.append(
                    f"not pooled: two lines of {one.name}/{one.algorithm} differ in {_differing(ours, theirs)}"
                )
    return notes


def _differing(ours: Mapping[str, object], theirs: Mapping[str, object]) -> str:
    keys = [key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
    return ", ".join(f"{key} ({ours.get(key)} and {theirs.get(key)})" for key in keys) or "nothing that is recorded"


def _flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested values by their paths, `settings.lr`."""
    flat: dict[str, object] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat

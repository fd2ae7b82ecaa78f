"""Comparing runs: only runs under the same rules share a table, and the differences between tables are named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...core.config import UsageError, did_you_mean
from ...envs import make
from ..measures.audit import Money
from ..measures.columns import PAYMENT, WELFARE, distances
from ..measures.exact_solutions import BEST_RATE, PRINCIPAL, Exact, exact
from ..measures.statistics import interquartile_mean
from . import dataset
from .dataset import Dataset, Evaluated, Published
from .groups import Group, Interquartile
from .lines import Sourced, compared, differing, lines_of, named, settings_of

BASE = "selfish"  # the mechanism to which differences are taken by default

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
    labels: list[str]  # of the rows: those of their lines


def compare(*paths: str | Path, against: str | None = None, solve: bool = True) -> Comparison:
    """Compare the evaluated runs in folders and tables.

    `against` names the mechanism, or the mechanism/learner, to which differences are taken, within the same learner and
    budget; it is selfish by default. With `solve` the exact solutions of games that have a table of states are
    computed. Raises UsageError where there is nothing to compare, or nothing of that name.
    """
    rows, published, damaged = _read([Path(path) for path in paths])
    if not rows and not published:
        raise UsageError("; ".join(["nothing is left to compare", *damaged]))
    made = [_group(each, against or BASE, solve=solve) for each in _by_rules(rows)]
    groups = [group for group, _ in made]
    if against is not None:
        _check_against(against, groups)
    families = {group.game.partition("/")[0] for group in groups}
    known = dataset.read(dataset.PUBLISHED).published
    published += [row for row in known if row.game.partition("/")[0] in families and row not in published]
    notes = [*_different_rules(groups), *(note for group in groups for note in _different_settings(group))]
    notes += [note for _, lacking in made for note in lacking]
    twice = _twice(groups)
    notes = list(dict.fromkeys(notes))
    notes += [f"no score over games for {game}: it stands here under several rules" for game in twice]
    across, without = _across([group for group in groups if group.game not in twice])
    return Comparison(
        groups, against, across, published, [*notes, *without], damaged, [row for _, row in rows], _labels(rows, groups)
    )


def _read(paths: Sequence[Path]) -> Dataset:
    """All that is at the `paths`, each path once however it is spelled."""
    everything = Dataset([], [], [])
    for path in {path.resolve(): path for path in paths}.values():
        found = _unique(dataset.read(path))
        everything.rows.extend(found.rows)
        everything.published.extend(found.published)
        everything.damaged.extend(found.damaged)
    return everything


def _unique(found: Dataset) -> Dataset:
    """The rows without repetitions; of two runs of one variant and seed the first counts, and the other is named."""
    rows: dict[tuple[str, str, str, int], Sourced] = {}
    damaged = [*found.damaged]
    for source, row in found.rows:
        first = rows.setdefault((source, _rules(row), row.variant, row.seed), (source, row))[1]
        if first != row:
            damaged.append(f"{source}: {row.run}: seed {row.seed} of {row.name} stands there twice, and differs")
    return Dataset([*rows.values()], found.published, damaged)


def _by_rules(rows: Iterable[Sourced]) -> list[list[Sourced]]:
    """The rows that share the game, its version and every rule, in the order of appearance."""
    groups: dict[str, list[Sourced]] = {}
    for source, row in rows:
        groups.setdefault(_rules(row), []).append((source, row))
    return list(groups.values())


def _rules(row: Evaluated) -> str:
    return repr((row.game, row.game_version, sorted(row.rules.items()), row.horizon, row.agents))


def _group(rows: list[Sourced], against: str, *, solve: bool) -> tuple[Group, list[str]]:
    """The group of the rows, and notes on the differences that cannot be taken."""
    first = rows[0][1]
    solutions = exact(make(first.game, **first.rules)) if solve and _current(first) else []
    lines = lines_of([(source, _with_regrets(row, solutions)) for source, row in rows])
    differences, at_total, notes = compared(lines, against)
    group = Group(
        first.game,
        first.game_version,
        first.rules,
        first.horizon,
        first.agents,
        solutions,
        lines,
        differences,
        at_total,
    )
    return group, notes


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


def _check_against(against: str, groups: list[Group]) -> None:
    names = {name for group in groups for line in group.lines for name in (line.name, f"{line.name}/{line.algorithm}")}
    if not any(named(group.lines, against) for group in groups):
        raise UsageError(did_you_mean("mechanism to compare to", against, names))


def _twice(groups: list[Group]) -> list[str]:
    """The games that stand in several groups, beside other games: one game under two rules is not two games."""
    count = Counter(group.game for group in groups)
    return [game for game, times in count.items() if times > 1 and len(count) > 1]


def _labels(rows: list[Sourced], groups: list[Group]) -> list[str]:
    """The label of the line of each row."""
    labels = {
        (line.source, line.first.variant, seed, row.run): line.label
        for group in groups for line in group.lines for seed, row in line.seeds.items()
    }  # fmt: skip
    return [labels.get((source, row.variant, row.seed, row.run), "") for source, row in rows]


def _across(groups: list[Group]) -> tuple[dict[str, Interquartile], list[str]]:
    """By label, the interquartile mean of the scores over several games whose exact solutions are known.

    Lines of different budgets have none, and a note says so.
    """
    scores: dict[str, dict[str, np.ndarray]] = {}
    budgets: dict[str, set[tuple[int, int]]] = {}
    for group in groups:
        for line in group.lines:
            if len(score := group.scores(line)):
                scores.setdefault(line.label, {})[group.game] = score
                budgets.setdefault(line.label, set()).add((line.first.steps, line.first.principal_steps))
    several = {label: games for label, games in scores.items() if len(games) > 1}
    apart = [label for label in several if len(budgets[label]) > 1]
    notes = [f"no score over games for {', '.join(apart)}: the budgets differ between games"] if apart else []
    found = {
        label: Interquartile(interquartile_mean(games), len(games))
        for label, games in several.items()
        if label not in apart
    }
    return found, notes


def _different_rules(groups: list[Group]) -> list[str]:
    """For each pair of tables of one family of games, the rules in which they differ."""
    notes = []
    for index, one in enumerate(groups):
        for other in groups[index + 1 :]:
            if one.game.partition("/")[0] == other.game.partition("/")[0]:
                ours, theirs = ({"version": each.version, **each.rules} for each in (one, other))
                notes.append(f"not comparable: {one.game} and {other.game} differ in {differing(ours, theirs)}")
    return notes


def _different_settings(group: Group) -> list[str]:
    """For each pair of lines of one mechanism and learner, the settings in which they differ."""
    notes, settings = [], settings_of(group.lines)
    for index, one in enumerate(group.lines):
        for other in group.lines[index + 1 :]:
            same = (one.first.name, one.algorithm) == (other.first.name, other.algorithm)
            if same and one.first.variant != other.first.variant:
                told = differing(settings[one.first.variant], settings[other.first.variant])
                notes.append(f"not pooled: two lines of {one.first.name}/{one.algorithm} differ in {told}")
    return notes

"""A comparison as text: for a terminal, as markdown, as a table that can be compared again, as JSON."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from . import tables
from .as_json import as_json
from .compare import METRICS, Comparison, Group, Line
from .exact import ALPHA, NOT_SETTLED, Exact
from .metrics import utility
from .plaintext import Rows, columns, markdown
from .statistics import Estimate
from .tables import Published

ALWAYS = ("welfare", "payment", "payment share", "utility")  # columns that stand even where they are 0 throughout
INTERVALS = ("welfare", "payment share")  # metrics that stand with theirs; JSON has every one
PERCENT = ("payment share", "compliance")
HEADS = {"payment share": "share", "transfer volume": "transfers"}
EXACT: dict[str, Callable[[Exact], float | None]] = {
    "welfare": lambda exact: exact.welfare,
    "payment": lambda exact: exact.payment,
    "payment share": lambda exact: (
        exact.payment / exact.welfare if exact.payment is not None and exact.welfare > 0 else None
    ),
    "utility": lambda exact: utility(exact.welfare, exact.payment or 0.0, ALPHA),
}

MEANS = "Means of greedy play on unseen keys, [95% bootstrap interval over seeds]; utility is welfare / 0.1 - payment."
SOLVED = "Solved: the part of the seeds that close half of the gap from the selfish equilibrium to the optimum."
ACROSS = "Across games: interquartile mean of the score (0: selfish equilibrium, 1: optimum)"
OTHERS = "Published, each under rules of its own: not to be compared with the above unless the rules are the same"


class Column(NamedTuple):
    """A column of a group's table."""

    head: str
    of_line: Callable[[Line], str]
    of_exact: Callable[[Exact], str]


def present(comparison: Comparison, format: str) -> str:
    """The comparison in one of the `FORMATS`."""
    return FORMATS[format](comparison)


def group_rows(group: Group) -> Rows:
    """The head, the exact rows and the learned ones of a group."""
    shown = list(_columns(group))
    return [
        [column.head for column in shown],
        *([column.of_exact(each) for column in shown] for each in group.exact),
        *([column.of_line(line) for column in shown] for line in group.lines),
    ]


def _columns(group: Group) -> Iterator[Column]:
    yield Column("mechanism", lambda line: line.name + f" ({line.source})" * bool(line.source), _exact_name)
    yield Column("learner", lambda line: line.algorithm, lambda exact: f"exact, {exact.kind}")
    for metric in METRICS:
        if metric in ALWAYS or _is_there(group, metric):
            yield _metric(metric)
    if group.differences:
        bases = {difference.base for difference in group.differences.values()}
        yield Column(f"less {' or '.join(sorted(bases))}", lambda line: _difference(group, line), lambda exact: "")
    if group.exact:
        yield Column("solved", lambda line: _percent(group.solved(line)), lambda exact: "")
    yield Column("welfare of each seed", _seeds, lambda exact: "")


def _exact_name(exact: Exact) -> str:
    return exact.name + NOT_SETTLED * (not exact.settled)


def _metric(metric: str) -> Column:
    exact = EXACT.get(metric, lambda exact: None)
    return Column(
        HEADS.get(metric, metric),
        lambda line: (_estimate if metric in INTERVALS else _mean)(metric, line.estimate(metric)),
        lambda each: _number(metric, exact(each)),
    )


def _text(comparison: Comparison) -> str:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return "\n\n".join(_blocks(comparison, title=str, table=lambda rows: columns(rows, width), others=_published_text))


def _markdown(comparison: Comparison) -> str:
    return "\n\n".join(_blocks(comparison, title="### {}".format, table=markdown, others=_published_markdown))


def _blocks(
    comparison: Comparison,
    *,
    title: Callable[[str], str],
    table: Callable[[Rows], str],
    others: Callable[[list[Published]], str],
) -> Iterator[str]:
    for group in comparison.groups:
        yield title(group.title)
        yield table(group_rows(group))
    if comparison.groups:
        yield f"{MEANS} {SOLVED}" if any(group.exact for group in comparison.groups) else MEANS
    if comparison.across:
        yield title(ACROSS)
        yield table(_across(comparison))
    for note in comparison.notes:
        yield f"Note: {note}."
    if comparison.published:
        yield title(OTHERS)
        yield others(comparison.published)


def _published_text(published: list[Published]) -> str:
    return "\n".join(
        f"  {each.game}, {each.mechanism}, {each.learner}, {each.agents} agents: {each.metric} {_range(each)}\n"
        f"      rules: {each.rules}; source: {each.source} ({each.known})"
        for each in published
    )


def _published_markdown(published: list[Published]) -> str:
    head = ["game", "rules", "agents", "mechanism", "learner", "metric", "source", "known"]
    rows = [[*(getattr(each, name) for name in head), _range(each)] for each in published]
    return markdown([[*head, "value"], *rows])


def _range(published: Published) -> str:
    return f"{published.low:g}" + f" to {published.high:g}" * (published.low < published.high)


def _across(comparison: Comparison) -> Rows:
    found = comparison.across.items()
    return [
        ["mechanism/learner", "score", "games"],
        *([label, _estimate("score", each.estimate), str(each.games)] for label, each in found),
    ]


def _csv(comparison: Comparison) -> str:
    return tables.write(comparison.rows).rstrip("\n")


def _is_there(group: Group, metric: str) -> bool:
    return any(value != 0 for line in group.lines for value in line.values(metric).values())


def _number(metric: str, value: float | None) -> str:
    if metric in PERCENT:
        return _percent(value)
    return "" if value is None or math.isnan(value) else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.0%}"


def _mean(metric: str, found: Estimate) -> str:
    return _number(metric, found.mean)


def _estimate(metric: str, found: Estimate) -> str:
    if found.seeds < 2:
        return _number(metric, found.mean)
    return f"{_number(metric, found.mean)} [{_number(metric, found.low)}, {_number(metric, found.high)}]"


def _difference(group: Group, line: Line) -> str:
    difference = group.differences.get(line.label)
    if difference is None:
        return ""
    found = difference.estimate
    if not found.seeds:
        return "no seed in common"
    interval = f" [{found.low:+.2f}, {found.high:+.2f}]" if found.seeds > 1 else ""
    several = len({each.base for each in group.differences.values()}) > 1
    return f"{found.mean:+.2f}{interval} {found.verdict}" + f" ({difference.base})" * several


def _seeds(line: Line) -> str:
    return " ".join(f"{value:.2f}" for value in line.values("welfare").values())


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "table": _text, "markdown": _markdown, "csv": _csv, "json": as_json,
}  # fmt: skip

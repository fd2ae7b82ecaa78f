"""A comparison as text: for a terminal, as markdown, as a table that can be compared again, as JSON."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..analysis import dataset
from ..analysis.columns import AUDITED, DISTANCES, METRICS
from ..analysis.comparison import Comparison
from ..analysis.dataset import Published
from ..analysis.groups import Group, Line
from ..measures.exact_solutions import ALPHA, Exact
from ..measures.statistics import Estimate
from .comparison_json import as_json
from .text_table import Rows, columns, markdown

ALWAYS = ("welfare", "payment", "payment share", "utility")  # columns that stand even where they are 0 throughout
INTERVALS = ("welfare", "payment share")  # metrics that stand with theirs; JSON has every one
PERCENT = ("payment share", "compliance", "acceptance", "states right")
AGREED = ("compliance", "acceptance")  # metrics that share a column: hardly any mechanism has both
HEADS = {
    "payment share": "share", "transfer volume": "transfers", "followed payment": "paid",
    "worst equilibrium": "worst eq.", "deviation regret": "dev. regret", "welfare to spe": "W to spe",
    "payment to spe": "P to spe", "welfare to best rate": "W to rates", "payment to best rate": "P to rates",
}  # fmt: skip
EXACT: dict[str, Callable[[Exact], float | None]] = {
    "welfare": lambda exact: exact.welfare,
    "payment": lambda exact: exact.payment,
    "payment share": lambda exact: (
        exact.payment / exact.welfare if exact.payment is not None and exact.welfare > 0 else None
    ),
    "principal return": lambda exact: exact.principal_return,
    "utility": lambda exact: exact.utility(ALPHA),
}

MEANS = (
    "Means of play on unseen keys, [95% bootstrap interval over seeds]; utility is welfare / 0.1 - payment, "
    "or where the principal has a return of its own that less the payment."
)
SOLVED = (
    "Solved: the part of the seeds that close half of the gap from the selfish equilibrium to the optimum, or, where "
    "no exact row is known, whose welfare is at least 90% of joint's mean (of the learner that does best under it)."
)
SIGNED = "Acceptance: the part of the episodes in which a contract held."
JUDGED = (
    "By `paymaster audit`, exactly. Followed, paid: welfare and payment if everyone does as is recommended. Gain: "
    "what the best deviation of any agent then adds to its value, now by one step in the state where it adds most, or "
    "at all by any policy, on average over the starts; values are discounted as learners have them where the horizon "
    "only truncates. SPE ratio: value of best replies / of following; IC ratio: the same while the others do what "
    "they learned. Worst eq.: welfare of the worst equilibrium found. Learned gain: of a deviation from what was "
    "learned; dev. regret: what the actions of an evaluated episode lose to best replies."
)
APART = (
    "W, P to spe, to rates: evaluated welfare that is missing to, and payment that is more than, what the "
    "subgame-perfect principal and the best linear contract come to."
)
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


def audited_rows(group: Group) -> Rows:
    """The head and the lines of a group of which something is exactly known; no lines where nothing is."""
    lines = [line for line in group.lines if _known(line)]
    there = [metric for metric in (*AUDITED, *DISTANCES) if any(metric in _known(line) for line in lines)]
    shown = [*_names(), *(_metric(metric) for metric in there)]
    rows = [[column.of_line(line) for column in shown] for line in lines]
    for row, line in zip(rows, lines, strict=True):
        row[0] += _partly(line)
    return [[column.head for column in shown], *rows]


def _partly(line: Line) -> str:
    """What to add to the name of a line of which only some seeds are audited."""
    audited = max(len(line.values(metric)) for metric in AUDITED)
    return f" ({audited} of {len(line.seeds)} seeds audited)" if 0 < audited < len(line.seeds) else ""


def _known(line: Line) -> set[str]:
    return {metric for metric in (*AUDITED, *DISTANCES) if line.values(metric)}


def _names() -> Iterator[Column]:
    yield Column(
        "mechanism", lambda line: line.name + f" ({line.source})" * bool(line.source), lambda exact: exact.label
    )
    yield Column("learner", lambda line: line.algorithm, lambda exact: f"exact, {exact.kind}")


def _columns(group: Group) -> Iterator[Column]:
    yield from _names()
    for metric in METRICS:
        if metric == AGREED[0]:
            yield from _agreed(group)
        elif metric not in AGREED and (metric in ALWAYS or _is_there(group, metric)):
            yield _metric(metric)
    if group.differences:
        bases = {difference.base for difference in group.differences.values()}
        yield Column(f"less {' or '.join(sorted(bases))}", lambda line: _difference(group, line), lambda exact: "")
    if group.solved_from is not None:
        yield Column("solved", lambda line: _percent(group.solved(line)), lambda exact: "")
    yield Column("welfare of each seed", _seeds, lambda exact: "")


def _agreed(group: Group) -> Iterator[Column]:
    """One column for what agents agreed to: how often they did as recommended, or signed a contract."""
    there = [_metric(metric) for metric in AGREED if _is_there(group, metric)]
    if there:
        head = " or ".join(column.head for column in there)
        yield Column(head, lambda line: " / ".join(filter(None, (each.of_line(line) for each in there))), lambda _: "")


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
        if len(audited := audited_rows(group)) > 1:
            yield table(audited)
    if comparison.groups:
        solved = any(group.solved_from is not None for group in comparison.groups)
        signed = any(_is_there(group, "acceptance") for group in comparison.groups)
        yield " ".join([MEANS, *[SIGNED] * signed, *[SOLVED] * solved])
    known = {metric for group in comparison.groups for line in group.lines for metric in _known(line)}
    if known & AUDITED.keys():
        yield JUDGED
    if known & DISTANCES.keys():
        yield APART
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
    return dataset.write(comparison.rows).rstrip("\n")


def _is_there(group: Group, metric: str) -> bool:
    return any(value != 0 for line in group.lines for value in line.values(metric).values())


def _number(metric: str, value: float | None) -> str:
    if metric in PERCENT:
        return _percent(value)
    if value is None or math.isnan(value):
        return ""
    return f"{value:+.2f}" if metric in DISTANCES else f"{value:.2f}"


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

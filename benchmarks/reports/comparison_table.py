"""A comparison as text: for a terminal, as markdown, as a table that can be compared again, as JSON."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ..analysis import dataset
from ..analysis.comparison import Comparison
from ..analysis.dataset import Published
from ..analysis.groups import Group, Line
from ..measures.columns import COLUMNS, WELFARE, Column, Section, columns
from ..measures.exact_solutions import Exact
from ..measures.statistics import Estimate
from . import text_table
from .comparison_json import as_json
from .text_table import Rows, markdown

SCORE = "{:.2f}"
PLAYED = "Means of play on unseen keys, [95% bootstrap interval over seeds]."
SUCCESS = (
    "success: success rate, the fraction of the seeds that close at least half of the gap from the selfish equilibrium "
    "to the optimum, or, where no exact row is known, whose welfare is at least 90% of joint's mean (of the learner "
    "that does best under it)"
)
CHANGE = "ΔW: difference of the welfare, seed by seed (n.s.: not significant; n/a: too few seeds in common)"
JUDGED = "By `paymaster audit`, exactly; values are discounted as learners have them where the horizon only truncates."
ACROSS = "Across games: interquartile mean of the normalised welfare (0: selfish equilibrium, 1: optimum)"
OTHERS = "Published, each under rules of its own: not comparable with the above unless the rules are the same"


class Shown(NamedTuple):
    """A column of a group's table."""

    head: str
    of_line: Callable[[Line], str]
    of_exact: Callable[[Exact], str] = lambda exact: ""


def present(comparison: Comparison, format: str) -> str:
    """The comparison in one of the `FORMATS`."""
    return FORMATS[format](comparison)


def group_rows(group: Group) -> Rows:
    """The head, the exact rows and the learned rows of a group."""
    shown = [*_names(), *_metrics(group), *_judgements(group)]
    return [
        [column.head for column in shown],
        *([column.of_exact(each) for column in shown] for each in group.exact),
        *([column.of_line(line) for column in shown] for line in group.lines),
    ]


def audited_rows(group: Group) -> Rows:
    """The head and the lines of which an audit or a distance is known; no lines where nothing is known."""
    lines = [line for line in group.lines if _exactly_known(line)]
    shown = [*_names(), *(_shown(column) for column in _audited(group))]
    rows = [[column.of_line(line) for column in shown] for line in lines]
    for row, line in zip(rows, lines, strict=True):
        row[0] += _partly(line)
    return [[column.head for column in shown], *rows]


def _partly(line: Line) -> str:
    """What to add to the name of a line of which only some seeds are audited."""
    audited = max(len(line.values(column.name)) for column in columns(Section.AUDIT))
    return f" ({audited} of {len(line.seeds)} seeds audited)" if 0 < audited < len(line.seeds) else ""


def _exactly_known(line: Line) -> list[Column]:
    return [column for column in columns(Section.AUDIT, Section.DISTANCE) if line.values(column.name)]


def _audited(group: Group) -> list[Column]:
    """The columns of the second table."""
    known = {column.name for line in group.lines for column in _exactly_known(line)}
    return [column for column in columns(Section.AUDIT, Section.DISTANCE) if column.name in known]


def _played(group: Group) -> list[Column]:
    """The metrics of the first table: columns that are 0 throughout are left out, but for those always shown."""
    return [column for column in columns(Section.PLAY) if column.always or _is_there(group, column)]


def _names() -> Iterator[Shown]:
    yield Shown(
        "mechanism", lambda line: line.name + f" ({line.source})" * bool(line.source), lambda exact: exact.label
    )
    yield Shown("learner", lambda line: line.algorithm, lambda exact: f"exact, {exact.kind}")


def _metrics(group: Group) -> Iterator[Shown]:
    played = _played(group)
    for column in columns(Section.PLAY):
        sharing = [each for each in played if column.name in (each.name, each.joins)]
        if sharing and not column.joins:
            yield _together([_shown(each) for each in sharing])


def _together(shown: list[Shown]) -> Shown:
    """One column for several, of which a line hardly ever has more than one."""
    if len(shown) == 1:
        return shown[0]
    head = " or ".join(each.head for each in shown)
    return Shown(head, lambda line: " / ".join(filter(None, (each.of_line(line) for each in shown))))


def _judgements(group: Group) -> Iterator[Shown]:
    """How lines stand to each other and to what is exactly known; and the welfare by seed."""
    if group.differences:
        bases = {difference.base for difference in group.differences.values()}
        head = f"ΔW vs. {' or '.join(sorted(bases))}"
        yield Shown(head, lambda line: _difference(group, line))
    if group.success_threshold is not None:
        yield Shown("success", lambda line: f"{group.success_rate(line):.0%}")
    yield Shown("welfare by seed", lambda line: " ".join(f"{value:.2f}" for value in line.values(WELFARE).values()))


def _shown(column: Column) -> Shown:
    def of_line(line: Line) -> str:
        found = line.estimate(column.name)
        return _estimate(column.text, found) if column.interval else column.text(found.mean)

    return Shown(column.head, of_line, lambda exact: column.text(column.of_exact(exact)))


def _text(comparison: Comparison) -> str:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    layout = Layout(title=str, table=lambda rows: text_table.columns(rows, width), others=_published_text)
    return "\n\n".join(_blocks(comparison, layout))


def _markdown(comparison: Comparison) -> str:
    return "\n\n".join(_blocks(comparison, Layout("### {}".format, markdown, _published_markdown)))


class Layout(NamedTuple):
    """How parts of a comparison are written."""

    title: Callable[[str], str]
    table: Callable[[Rows], str]
    others: Callable[[list[Published]], str]


def _blocks(comparison: Comparison, layout: Layout) -> Iterator[str]:
    for group in comparison.groups:
        yield layout.title(group.title)
        yield layout.table(group_rows(group))
        if len(audited := audited_rows(group)) > 1:
            yield layout.table(audited)
    if comparison.groups:
        yield from _notes(comparison.groups)
    if comparison.across:
        yield layout.title(ACROSS)
        yield layout.table(_across(comparison))
    for note in comparison.notes:
        yield f"Note: {note}."
    if comparison.published:
        yield layout.title(OTHERS)
        yield layout.others(comparison.published)


def _notes(groups: list[Group]) -> Iterator[str]:
    """What the heads of the tables stand for."""
    notes = [column.note for column in _in_order(column for group in groups for column in _played(group))]
    notes += [CHANGE] * any(group.differences for group in groups)
    notes += [SUCCESS] * any(group.success_threshold is not None for group in groups)
    yield f"{PLAYED} {'; '.join(notes)}."
    exact = _in_order(column for group in groups for column in _audited(group))
    audit = [column.note for column in exact if column.section is Section.AUDIT]
    apart = [column.note for column in exact if column.section is Section.DISTANCE]
    if audit:
        yield f"{JUDGED} {'; '.join(audit)}."
    if apart:
        yield f"{'; '.join(apart)}."


def _in_order(found: Iterable[Column]) -> list[Column]:
    """Columns, each once, in the order of `COLUMNS`."""
    names = {column.name for column in found}
    return [column for column in COLUMNS.values() if column.name in names]


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
        *([label, _estimate(SCORE.format, each.estimate), str(each.games)] for label, each in found),
    ]


def _csv(comparison: Comparison) -> str:
    return dataset.write(comparison.rows).rstrip("\n")


def _is_there(group: Group, column: Column) -> bool:
    return any(value != 0 for line in group.lines for value in line.values(column.name).values())


def _estimate(text: Callable[[float], str], found: Estimate) -> str:
    interval = f" [{text(found.low)}, {text(found.high)}]" if found.seeds > 1 else ""
    return text(found.mean) + interval


def _difference(group: Group, line: Line) -> str:
    difference = group.differences.get(line.label)
    if difference is None:
        return ""
    found = difference.estimate
    if not found.seeds:
        return "no seed in common"
    several = len({each.base for each in group.differences.values()}) > 1
    return f"{_estimate('{:+.2f}'.format, found)} {found.verdict}" + f" ({difference.base})" * several


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "table": _text, "markdown": _markdown, "csv": _csv, "json": as_json,
}  # fmt: skip

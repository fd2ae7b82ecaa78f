"""The tables of a comparison as rows of cells: which columns are shown, in which order, and what a cell says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..analysis.groups import Difference, Group, Line
from ..measures.columns import WELFARE, Column, Section, columns
from ..measures.exact_solutions import Exact
from ..measures.statistics import Estimate, Rate
from .text_table import Rows

MAIN = 3  # metrics that stand first: what was earned, and what it cost
EXACT, UNDEFINED = "exact", "undefined"
MARK = " *"  # of a line whose agents have not converged


class Shown(NamedTuple):
    """A column of a group's table."""

    head: str
    of_line: Callable[[Line], str]
    of_exact: Callable[[Exact], str] = lambda exact: ""


def group_rows(group: Group, *, everything: bool = True) -> Rows:
    """The head, the exact rows and the learned rows of a group; without `everything` the columns that matter most."""
    return _rows_of(group, _shown_of(group) if everything else _first(group))


def _rows_of(group: Group, shown: list[Shown]) -> Rows:
    return [
        [column.head for column in shown],
        *([column.of_exact(each) for column in shown] for each in group.given),
        *([column.of_line(line) for column in shown] for line in group.lines),
    ]


def _shown_of(group: Group) -> list[Shown]:
    """The columns of a group's first table, what matters most first: a line has room for the first only."""
    return [*_first(group), *list(_metrics(group))[MAIN:], *_further(group)]


def _first(group: Group) -> list[Shown]:
    """The columns that matter most."""
    return [*_names(group), _steps(), *list(_metrics(group))[:MAIN], *_changes(group)]


def audited_rows(group: Group) -> Rows:
    """The head and the lines of which an audit or a distance is known; no lines where nothing is known."""
    lines = [line for line in group.lines if _exactly_known(line)]
    shown = [*_names(group), *(_shown(column) for column in audited_columns(group))]
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


def audited_columns(group: Group) -> list[Column]:
    """The columns of the second table."""
    known = {column.name for line in group.lines for column in _exactly_known(line)}
    return [column for column in columns(Section.AUDIT, Section.DISTANCE) if column.name in known]


def played_columns(group: Group) -> list[Column]:
    """The metrics of the first table: columns that are 0 throughout are left out, but for those always shown."""
    return [column for column in _as_shown() if column.always or _is_there(group, column)]


def _as_shown() -> Iterator[Column]:
    """The metrics of play in the order in which they are shown."""
    for column in columns(Section.PLAY):
        if not column.after:
            yield column
            yield from (late for late in columns(Section.PLAY) if late.after == column.name)


def _names(group: Group) -> Iterator[Shown]:
    yield Shown("mechanism", lambda line: line.name + MARK * (line.converged is False), lambda exact: exact.label)
    yield Shown("learner", lambda line: line.algorithm, lambda exact: EXACT)
    if len({line.source for line in group.lines}) > 1:
        yield Shown("source", lambda line: line.source)


def _steps() -> Shown:
    return Shown("steps", steps_of)


def steps_of(line: Line) -> str:
    """The agents' steps, and those of their mechanism."""
    own, before = line.first.steps, line.first.principal_steps
    return _count(own) + ("+?" if line.first.total_steps is None else f"+{_count(before)}" * bool(before))


def _count(steps: int) -> str:
    """A count in three digits or as many as it has: 250k, 1.05M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if steps >= unit:
            return f"{steps / unit:.3g}{name}"
    return str(steps)


def _metrics(group: Group) -> Iterator[Shown]:
    played = played_columns(group)
    for column in _as_shown():
        sharing = [each for each in played if column.name in (each.name, each.joins)]
        if sharing and not column.joins:
            yield _together([_shown(each) for each in sharing])


def _together(shown: list[Shown]) -> Shown:
    """One column for several, of which a line hardly ever has more than one."""
    if len(shown) == 1:
        return shown[0]
    head = " or ".join(each.head for each in shown)
    return Shown(head, lambda line: " / ".join(filter(None, (each.of_line(line) for each in shown))))


def _changes(group: Group) -> Iterator[Shown]:
    """How lines stand to each other."""
    if group.differences:
        yield Shown(f"ΔW vs. {_bases(group)}", lambda line: _difference(group.differences.get(line.label)))
    if group.at_total:
        yield Shown("ΔW at all steps", lambda line: _difference(group.at_total.get(line.label)))
    if group.success_threshold is not None:
        yield Shown("success", lambda line: _rate(group.success_rate(line)))


def _bases(group: Group) -> str:
    """What lines are compared to: every one to that of its own learner and budget."""
    found = [line for line in group.lines if line.label in {each.base for each in group.differences.values()}]
    return " or ".join(dict.fromkeys(line.first.name for line in found))


def _further(group: Group) -> Iterator[Shown]:
    """How sure the differences are, and the welfare by seed."""
    if group.differences:
        yield Shown("ΔW interval", lambda line: _certainty(group.differences.get(line.label)))
    if group.at_total:
        yield Shown("interval at all steps", lambda line: _certainty(group.at_total.get(line.label)))
    yield Shown("welfare by seed", lambda line: " ".join(f"{value:.2f}" for value in line.values(WELFARE).values()))


def _shown(column: Column) -> Shown:
    def of_line(line: Line) -> str:
        found = line.estimate(column.name)
        return estimate_text(column.text, found) if column.interval else column.text(found.mean)

    return Shown(column.head, of_line, lambda exact: column.text(column.of_exact(exact)))


def estimate_text(text: Callable[[float], str], found: Estimate) -> str:
    interval = f" [{text(found.low)}, {text(found.high)}]" if found.seeds > 1 else ""
    return text(found.mean) + interval


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return ""
    found = difference.judged
    return f"{found.estimate.mean:+.2f} {found.verdict}" if found.verdict != UNDEFINED else UNDEFINED


def _certainty(difference: Difference | None) -> str:
    """The corrected interval of a difference, and its corrected p."""
    if difference is None or difference.judged.estimate.low != difference.judged.estimate.low:
        return ""
    (_, low, high, _), p = difference.judged.estimate, difference.judged.p
    return f"[{low:+.2f}, {high:+.2f}]" + (f" p {_probability(p)}" if p == p else "")


def _probability(p: float) -> str:
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("0.", ".", 1)


def _rate(found: Rate | None) -> str:
    return f"{found.share:.0%} [{found.low:.0%}, {found.high:.0%}]" if found and found.seeds else ""


def _is_there(group: Group, column: Column) -> bool:
    return any(value != 0 for line in group.lines for value in line.values(column.name).values())

"""A comparison as text: for a terminal, as markdown, for a paper, as a table that can be compared again, as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ..analysis import dataset
from ..analysis.comparison import Comparison
from ..analysis.dataset import Published
from ..analysis.groups import Group
from ..measures.columns import COLUMNS, CONVERGED, Column, Section
from ..measures.exact_solutions import FINITE
from . import text_table
from .comparison_json import as_json
from .comparison_rows import MAIN, audited_columns, audited_rows, estimate_text, group_rows, played_columns
from .text_table import Rows, latex, markdown

SCORE = "{:.2f}"
LONGEST = 26  # characters of a line of a cell
OTHER_MONEY = ("transfer_volume", "taxes", "shaping")  # columns
MORE = "Every column, the audits, every seed and published numbers: `--all`, or a file with `--format csv` or json."
PLAYED = "Means of play on unseen keys, [95% interval over seeds, Student's t]."
STEPS = "steps: in which the agents learned + in which their mechanism had learned before (?: not recorded)"
SUCCESS = (
    "success: success rate, [exact binomial 95% interval], the fraction of the seeds that close at least half of the "
    "gap from the selfish equilibrium to the optimum, or, where no exact row is known, whose welfare is at least 90% "
    "of joint's mean (of the learner that does best under it)"
)
CHANGE = (
    "ΔW: difference of the mean welfare to the run of the same learner and budget, by a t test with unequal variances "
    "and verdicts corrected over the table by Holm's procedure (n.s.: not significant; n/a: too few seeds)"
)
AT_TOTAL = "ΔW at all steps: the same to the run that learned for as many steps as agents and mechanism did together"
CERTAINTY = "ΔW interval: 95%, or wider where the correction asks for it, and the corrected p"
NOT_CONVERGED = (
    f"*: not converged: by an exact audit a best response adds more than {CONVERGED:.0%} of an agent's value."
)
KINDS = {FINITE: "solutions of the finite horizon, undiscounted"}
STATIONARY = "solutions of the stationary game that learners are given, at {}, played over the horizon"
JUDGED = "By `paymaster audit`, exactly; values are discounted as learners have them where the horizon only truncates."
ACROSS = "Across games: interquartile mean of the normalised welfare (0: selfish equilibrium, 1: optimum)"
OTHERS = "Published, each under rules of its own: not comparable with the above unless the rules are the same"


def present(comparison: Comparison, format: str, *, everything: bool = False) -> str:
    """The comparison as a "table", the first columns that fit a line or `everything`, or in one of the `FORMATS`."""
    return _text(comparison, everything) if format == "table" else FORMATS[format](comparison)


def _text(comparison: Comparison, everything: bool) -> str:
    width = text_table.line_width()

    def table(rows: Rows) -> str:
        return text_table.columns(rows, width, longest=LONGEST, fold=everything)

    def prose(text: str) -> str:
        return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)

    layout = Layout(title=str, table=table, prose=prose, others=_published_text, everything=everything)
    return "\n\n".join(_blocks(comparison, layout))


def _markdown(comparison: Comparison) -> str:
    layout = Layout("### {}".format, markdown, prose=str, others=_published_markdown, everything=True)
    return "\n\n".join(_blocks(comparison, layout))


def _latex(comparison: Comparison) -> str:
    """The columns that matter most, a table for each game, with what their heads stand for in comments."""
    tables = [latex(group_rows(group, everything=False), full_title(group)) for group in comparison.groups]
    told = [f"% {note.text}" for note in notes(comparison.groups, everything=False)]
    return "\n\n".join([r"% \usepackage{booktabs}", *tables, *told])


class Layout(NamedTuple):
    """How parts of a comparison are written."""

    title: Callable[[str], str]
    table: Callable[[Rows], str]
    prose: Callable[[str], str]
    others: Callable[[list[Published]], str]
    everything: bool  # also what an audit found, and what others published


def _blocks(comparison: Comparison, layout: Layout) -> Iterator[str]:
    for group in comparison.groups:
        yield layout.prose(layout.title(full_title(group)))
        yield layout.table(group_rows(group))
        if layout.everything and len(audited := audited_rows(group)) > 1:
            yield layout.table(audited)
    yield from (layout.prose(note.text) for note in notes(comparison.groups, everything=layout.everything))
    if comparison.across:
        yield layout.title(ACROSS)
        yield layout.table(across_rows(comparison))
    yield from (layout.prose(f"Note: {note}.") for note in comparison.notes)
    if comparison.published and layout.everything:
        yield layout.title(OTHERS)
        yield layout.others(comparison.published)
    if not layout.everything:
        yield layout.prose(MORE)


class Note(NamedTuple):
    """A sentence below the tables, which ends with a list of what their heads stand for, or of nothing."""

    lead: str
    heads: Sequence[str] = ()

    @property
    def text(self) -> str:
        return f"{self.lead} {'; '.join(self.heads)}.".strip() if self.heads else self.lead


def notes(groups: list[Group], *, everything: bool) -> Iterator[Note]:
    """What the tables show, and what their heads stand for; with `everything` those of all columns."""
    if not groups:
        return
    played = _in_order(column for group in groups for column in played_columns(group))
    heads = [STEPS, *(column.note for column in (played if everything else played[:MAIN]))]
    heads += [CHANGE, CERTAINTY][: 1 + everything] * any(group.differences for group in groups)
    heads += [AT_TOTAL] * any(group.at_total for group in groups)
    heads += [SUCCESS] * any(group.success_threshold is not None for group in groups)
    yield Note(f"{PLAYED} {_played(groups)}", heads)
    if not everything and (moved := _other_money(groups)):
        yield Note(f"A payment of 0 is not all there is: {moved}; amounts with `--all`.")
    if any(line.converged is False for group in groups for line in group.lines):
        yield Note(NOT_CONVERGED)
    for kind, games in _kinds(groups).items():
        yield Note(f"exact ({', '.join(games)}): {KINDS.get(kind, STATIONARY.format(kind))}.")
    exact = _in_order(column for group in groups for column in audited_columns(group)) if everything else []
    audit = [column.note for column in exact if column.section is Section.AUDIT]
    apart = [column.note for column in exact if column.section is Section.DISTANCE]
    if audit:
        yield Note(JUDGED, audit)
    if apart:
        yield Note("", apart)


def _other_money(groups: list[Group]) -> str:
    """The kinds of money other than payments, with the mechanisms that move or create some; empty for none."""
    lines = [line for group in groups for line in group.lines]
    told = []
    for column in (COLUMNS[name] for name in OTHER_MONEY):
        some = [line.first.mechanism for line in lines if any(line.values(column.name).values())]
        told += [f"{column.head} ({', '.join(dict.fromkeys(some))})"] * bool(some)
    return ", ".join(told)


def _played(groups: list[Group]) -> str:
    """How learned policies choose their actions when they are evaluated, which the learners' settings say."""
    drawing: dict[str, list[str]] = {}
    greedy: set[str] = set()
    for line in (line for group in groups for line in group.lines):
        if "sampled" in _plays(line.first.settings.get("settings")):
            drawing.setdefault(line.algorithm, []).append(line.label)
        else:
            greedy.add(line.algorithm)
    if not drawing:
        return "Learned policies act greedily."
    told = [name for learner, labels in drawing.items() for name in (labels if learner in greedy else [learner])]
    return f"Learned policies act greedily, but draw their actions, as in training, in {', '.join(told)}."


def _plays(settings: object) -> Iterator[object]:
    """What settings, and those of the learners of a mixture in them, say of `play`."""
    if isinstance(settings, dict):
        yield settings.get("play")
        for each in settings.values():
            yield from _plays(each)


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
    return markdown(published_rows(published))


def published_rows(published: list[Published]) -> Rows:
    """The head and the rows of the numbers that others published."""
    head = ["game", "rules", "agents", "mechanism", "learner", "metric", "source", "known"]
    rows = [[*(getattr(each, name) for name in head), _range(each)] for each in published]
    return [[*head, "value"], *rows]


def _range(published: Published) -> str:
    return f"{published.low:g}" + f" to {published.high:g}" * (published.low < published.high)


def across_rows(comparison: Comparison) -> Rows:
    """The head and the rows of the scores over several games."""
    found = comparison.across.items()
    return [
        ["mechanism/learner", "score", "games"],
        *([label, estimate_text(SCORE.format, each.estimate), str(each.games)] for label, each in found),
    ]


def _csv(comparison: Comparison) -> str:
    return dataset.write(comparison.rows, comparison.labels).rstrip("\n")


def full_title(group: Group) -> str:
    """What stands above a group's table: the game, its rules, and how many seeds there are."""
    return f"{group.title}, {_seeds(group)}"


def _seeds(group: Group) -> str:
    """How many seeds its lines have."""
    counts = sorted({len(line.seeds) for line in group.lines})
    return " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1]))) + (
        " seed" if counts == [1] else " seeds"
    )


def _kinds(groups: list[Group]) -> dict[str, dict[str, None]]:
    """The games whose exact solutions are shown, by the kind of these."""
    found: dict[str, dict[str, None]] = {}
    for group in groups:
        for each in group.given[:1]:
            found.setdefault(each.kind, {})[group.game] = None
    return found


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "markdown": _markdown, "latex": _latex, "csv": _csv, "json": as_json,
}  # fmt: skip

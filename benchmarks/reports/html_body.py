"""The body of an HTML report: the tables of the comparison with their notes, and how each run was made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ...core.version import VERSION
from ..analysis.comparison import Comparison
from ..analysis.groups import Group, Line
from ..files import commands
from ..provenance import command, now
from .comparison_rows import audited_rows, group_rows
from .comparison_table import ACROSS, OTHERS, Note, across_rows, full_title, notes, published_rows
from .html_data import Found, Kept, runs_of
from .html_elements import Element, element, table, words

SPECS = 1_500_000  # characters of all specs
COMMIT = 12  # letters of one that are shown
ABOUT = (
    "What does it cost to make self-interested learners cooperate, and who pays? Welfare is what all agents earn in an "
    "episode; the payment is what a principal adds from outside."
)
NO_SCRIPT = "Curves, frontiers and replays are drawn by a script, which is turned off here."
SPEC = (
    "What each run was asked to do, by its spec; runs of one spec differ in their seed alone. `paymaster run` makes a "
    "run again from its run.json."
)


def title(path: Path) -> str:
    return f"{path.absolute().name or path}: Paymaster report"


def body(path: Path, comparison: Comparison, found: Found) -> Element:
    groups = comparison.groups
    games = [_game(at, group, found, alone=len(groups) == 1) for at, group in enumerate(groups)]
    machines = _environments(found)
    room = SPECS
    for section, group in zip(games, groups, strict=True):
        made, used = _provenance(group, found, machines, room)
        section.append(made)
        room -= used
    return element(
        "main",
        _head(path, comparison),
        _contents(groups) if len(groups) > 1 else None,
        *games,
        *_across(comparison),
        *_list("Notes", [f"{note}." for note in comparison.notes]),
        *_list("Left out", comparison.damaged),
        _machines(machines),
        *_published(comparison),
    )


def _head(path: Path, comparison: Comparison) -> Element:
    games = len({group.game for group in comparison.groups})
    count = f"{len(comparison.rows)} runs of {games} game{'s' * (games != 1)}"
    made = (f"Written by Paymaster {VERSION} on {now()} with ", element("code", command()), ".")
    return element(
        "header",
        element("p", "Paymaster report", class_="kind"),
        element("h1", path.absolute().name or str(path)),
        element("p", f"{count}. {ABOUT}"),
        element("p", *made, class_="made"),
        _commands(path),
        element("noscript", element("p", NO_SCRIPT)),
    )


def _commands(path: Path) -> Element | None:
    """The commands that made the runs, in a section that is closed at first; None where none is known."""
    known = [each for each in commands(path) if isinstance(each, dict)]
    items = (element("li", element("code", str(each.get("command"))), f", {each.get('date')}") for each in known)
    summary = element("summary", "Commands that made the runs")
    return element("details", summary, element("ul", *items), class_="made") if known else None


def _contents(groups: Sequence[Group]) -> Element:
    links = (element("a", group.short, href=f"#game-{at}") for at, group in enumerate(groups))
    return element("nav", element("ul", *(element("li", link) for link in links)), aria_label="Games")


def _game(at: int, group: Group, found: Found, *, alone: bool) -> Element:
    rows, audited = group_rows(group), audited_rows(group)
    exact = len(group.given)
    parts: list[Element] = [
        element("h2", group.short, id=f"name-{at}"),
        element("p", full_title(group), class_="rules"),
        table(rows, f"Welfare and payment in {group.short}", exact=exact),
        _legend([group], opened=alone),
    ]
    if len(audited) > 1:
        parts += [element("h3", "By exact audit"), table(audited, f"What audits found in {group.short}")]
    parts += [
        element("h3", "Learning curves"),
        element("div", class_="curves", data_game=str(at)),
        element("h3", "Welfare against payment"),
        element("div", class_="frontier", data_game=str(at)),
        element("h3", "Replays"),
        element("div", class_="replays", data_game=str(at)),
    ]
    return element("section", *parts, id=f"game-{at}", aria_labelledby=f"name-{at}", class_="game")


def _legend(groups: list[Group], *, opened: bool) -> Element:
    """What the heads of the tables stand for."""
    parts = [part for note in notes(groups, everything=True) for part in _note(note)]
    attributes = {"open": ""} if opened else {}
    return element("details", element("summary", "How to read the tables"), *parts, class_="notes", **attributes)


def _note(note: Note) -> Iterator[Element]:
    if note.lead:
        yield element("p", *words(note.lead))
    if note.heads:
        split = (head.partition(": ") for head in note.heads)
        items = ((element("dt", name), element("dd", about)) for name, _, about in split)
        yield element("dl", *(element("div", *item) for item in items))


def _across(comparison: Comparison) -> list[Element]:
    if not comparison.across:
        return []
    title = element("h2", "Across games")
    return [
        element("section", title, element("p", f"{ACROSS}."), table(across_rows(comparison), "Scores across games"))
    ]


def _list(heading: str, sentences: Sequence[str]) -> list[Element]:
    if not sentences:
        return []
    items = element("ul", *(element("li", sentence) for sentence in sentences))
    return [element("section", element("h2", heading), items)]


def _published(comparison: Comparison) -> list[Element]:
    """What others published, apart from all that was run."""
    if not comparison.published:
        return []
    heading, numbers = (
        element("h2", "Published numbers"),
        table(published_rows(comparison.published), "Published numbers"),
    )
    return [element("section", heading, element("p", f"{OTHERS}."), numbers, class_="published")]


# How the runs were made


def _environments(found: Found) -> dict[str, int]:
    """The commits, machines and versions by which runs were made, as JSON, numbered from 1."""
    numbers: dict[str, int] = {}
    for run in found.values():
        numbers.setdefault(_environment(run), len(numbers) + 1)
    return numbers


def _environment(run: Kept) -> str:
    return _written({name: run.about.get(name) for name in ("commit", "machine", "versions", "plugins")}) or "{}"


def _provenance(group: Group, found: Found, machines: Mapping[str, int], room: int) -> tuple[Element, int]:
    """The runs of a group and their specs, of which `room` characters are kept, and how many were used."""
    rows = [["run", "seed", "steps", "principal's steps", "seconds", "episodes", "commit", "made", "machine", "folder"]]
    specs, used, left_out = list[Element](), 0, 0
    for line in group.lines:
        kept = runs_of(line, found)
        by_name = {str(run.about["run"]): run for run in kept}
        rows += [
            _made(line, seed, by_name[row.run], machines) for seed, row in line.seeds.items() if row.run in by_name
        ]
        if not kept:
            continue
        text = _written(kept[0].about["spec"], indent=1) or "It is nested too deeply to be shown."
        if used + len(text) > room:
            left_out += 1
            continue
        used += len(text)
        specs.append(element("details", element("summary", _seeds(line.label, [*line.seeds])), element("pre", text)))
    more = f"The specs of {left_out} more are left out, to keep the file small; they stand in each run.json."
    summary = f"How these {len(rows) - 1} runs were made" if len(rows) > 2 else "How this run was made"
    made = element(
        "details",
        element("summary", summary),
        table(rows, f"Runs of {group.short}"),
        element("p", *words(SPEC)),
        *specs,
        element("p", more) if left_out else None,
        class_="runs",
    )
    return made, used


def _made(line: Line, seed: int, run: Kept, machines: Mapping[str, int]) -> list[str]:
    """The row of a run."""
    row, about = line.seeds[seed], run.about
    numbers = [f"{row.steps:,}", f"{row.principal_steps:,}", f"{row.seconds:.1f}", f"{row.episodes:,}"]
    commit, date = (str(about.get(name) or "unknown") for name in ("commit", "date"))
    return [line.label, str(seed), *numbers, _short(commit), date, str(machines[_environment(run)]), row.run]


def _written(value: object, indent: int | None = None) -> str:
    """A value as JSON; empty where it is nested too deeply."""
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False)
    except RecursionError:
        return ""


def _seeds(label: str, seeds: Sequence[int]) -> str:
    return f"{label}, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, sorted(seeds)))}"


def _short(commit: str) -> str:
    name, changed, _ = commit.partition("+")
    return name[:COMMIT] + ("+changes" if changed else "")


def _machines(numbers: Mapping[str, int]) -> Element:
    """The commits, machines and versions, in a section that is closed at first."""
    items = (element("li", _facts(json.loads(text)), value=str(number)) for text, number in numbers.items())
    summary = element("summary", "Commits, processors and versions of packages, by number")
    listed = element("details", summary, element("ol", *items))
    return element("section", element("h2", "Machines and versions"), listed)


def _facts(about: Mapping[str, object]) -> Element:
    """A commit, a machine, and versions, as a list of names and values."""
    versions = _flat(about.get("versions"))
    facts = {"commit": about.get("commit") or "unknown", **_flat(about.get("machine"))}
    facts["versions"] = ", ".join(f"{name} {_word(value)}" for name, value in versions.items())
    if about.get("plugins"):
        facts["plugins"] = about["plugins"]
    return element(
        "dl", *(element("div", element("dt", name), element("dd", _word(each))) for name, each in facts.items())
    )


def _word(value: object) -> str:
    return value if isinstance(value, str) else _written(value)


def _flat(value: object) -> dict[str, object]:
    return {str(name): each for name, each in value.items()} if isinstance(value, dict) else {}

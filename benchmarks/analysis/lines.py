"""The lines of a group: which runs are pooled, what each line is called, and to which line it is compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..measures.columns import WELFARE
from ..measures.statistics import contrast, judged
from .dataset import Evaluated
from .groups import Difference, Line, welfare_of

Sourced = tuple[str, Evaluated]  # a row behind the folder or the table that it was read from
Settings = Mapping[str, object]  # by their paths, such as `settings.lr`
STEPS = "steps"  # those of the agents, beside the settings
ROUNDING = 0.01  # by which steps that were taken may differ from those of a base
FEW = 3  # settings that a name can take; lines that differ in more are told apart by their variant


class Compared(NamedTuple):
    """The differences of a group, and a sentence for each line that has none."""

    differences: dict[str, Difference]  # by label, to a base of as many agents' steps
    at_total: dict[str, Difference]  # by label, to a base that learned for all the steps of a line and its mechanism
    notes: list[str]


def lines_of(rows: Iterable[Sourced]) -> list[Line]:
    """A line for each variant in each source, named apart; the highest welfare first.

    Two sources never share a line: a reference table lends its seeds to nobody.
    """
    found: dict[tuple[str, str], list[Evaluated]] = {}
    for source, row in rows:
        found.setdefault((source, row.variant), []).append(row)
    lines = [
        Line(each[0].name, each[0].algorithm, source, {row.seed: row for row in each})
        for (source, _), each in found.items()
    ]
    return sorted(_told_apart(lines), key=lambda line: -line.estimate(WELFARE).mean)


def _told_apart(lines: list[Line]) -> list[Line]:
    """The lines, with what differs in the names of those that would be called the same.

    Their sources are named only where nothing else differs.
    """
    called: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        called.setdefault((line.name, line.algorithm), []).append(line)
    settings, steps = settings_of(lines), usual_steps(lines)
    named = [line._replace(name=name) for same in called.values() for line, name in _names(same, settings, steps)]
    count = Counter((line.name, line.algorithm) for line in named)
    return [line._replace(alone=count[line.name, line.algorithm] == 1) for line in named]


def _names(lines: Sequence[Line], known: Mapping[str, Settings], steps: int | None) -> Iterable[tuple[Line, str]]:
    """Each of the lines, which have one name, with a name that says what differs between their variants.

    The `steps` of most lines of the group are not told.
    """
    settings = {line.first.variant: known[line.first.variant] for line in lines}
    differing = [key for key in {key: None for each in settings.values() for key in each} if _differs(key, settings)]
    last = Counter(key.rpartition(".")[2] for key in differing)
    short = {key: tail if last[tail := key.rpartition(".")[2]] == 1 else key for key in differing}
    told: dict[str, str] = {}
    for variant, own in settings.items():
        keys = [key for key in differing if len(differing) <= FEW or not _usual(key, own, settings)]
        keys = [key for key in keys if key != STEPS or own[STEPS] != steps]
        plain = len(settings) == 1 or (differing == [STEPS] and not keys)
        told[variant] = " ".join(f"{short[key]}={own.get(key)}" for key in keys)
        if not plain and not 0 < len(keys) <= FEW:
            told[variant] = f"variant={variant}"
    count = Counter(told.values())
    for line in lines:
        variant = line.first.variant
        name = told[variant] if count[told[variant]] == 1 else f"variant={variant}"
        yield line, " ".join(filter(None, [line.name, name]))


def usual_steps(lines: Sequence[Line]) -> int | None:
    """The agents' steps of more than half of the lines; None where there are no such steps."""
    ((steps, count),) = Counter(line.first.steps for line in lines).most_common(1)
    return steps if 2 * count > len(lines) else None


def _usual(key: str, own: Settings, settings: Mapping[str, Settings]) -> bool:
    """Whether a setting has the value that it has in more than half of the variants."""
    return 2 * sum(each.get(key) == own.get(key) for each in settings.values()) > len(settings)


def settings_of(lines: Sequence[Line]) -> dict[str, Settings]:
    """By variant, all settings of the lines' runs by their paths, `settings.lr`, with the steps of the agents.

    A principal that was taken from one of the lines has the settings with which it was trained there, but for those of
    its promises that the run gives.
    """
    own = {line.first.variant: line.first.settings.get("principal") for line in lines}
    found: dict[str, Settings] = {}
    for line in lines:
        settings, principal = line.first.settings, line.first.settings.get("principal")
        trained = own.get(str(principal.get("variant"))) if isinstance(principal, dict) else None
        if isinstance(principal, dict) and isinstance(trained, dict):
            given = {name: value for name, value in principal.items() if name not in ("from", "variant")}
            settings = {**settings, "principal": {**trained, **given}}
        found[line.first.variant] = {STEPS: line.first.steps, **_flat(settings)}
    return found


def _differs(key: str, settings: Mapping[str, Settings]) -> bool:
    values = [each.get(key) for each in settings.values()]
    return any(value != values[0] for value in values)


def _flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def named(lines: Sequence[Line], against: str) -> list[Line]:
    """The lines that `against` names: as a label, with its learner, as a name, or as a mechanism.

    A name stands for all lines that had it before they were told apart, and so does a mechanism.
    """
    for of in (
        lambda line: f"{line.first.name}/{line.algorithm}",
        lambda line: line.first.name,
        lambda line: line.label,
        lambda line: line.name,
        lambda line: line.first.mechanism,
    ):
        found = [line for line in lines if of(line) == against]
        if found:
            return found
    return []


def compared(lines: Sequence[Line], against: str) -> Compared:
    """Each line's difference to the base among those that `against` names, judged among all of them.

    A base has the line's learner and its agents' budget; another, where there is one, as many steps as the line's
    agents and its mechanism learned in together. Of several the one with the same settings of the learner, and from the
    same source, counts. A line without a base of its agents' budget has no difference to one, and a note says why.
    """
    bases = named(lines, against)
    others = [line for line in lines if line not in bases] if bases else []
    chosen = {line.label: (line, base_of(line, bases, line.first.steps)) for line in others}
    longer = {
        line.label: (line, base_of(line, bases, line.first.total_steps))
        for line in others
        if line.first.total_steps not in (None, line.first.steps)
    }
    found = [(line, base, which) for which in (chosen, longer) for line, base in which.values() if base]
    verdicts = judged([contrast(welfare_of(line), welfare_of(base)) for line, base, _ in found])
    differences, at_total = (
        {
            line.label: Difference(base.label, verdict)
            for (line, base, which), verdict in zip(found, verdicts, strict=True)
            if which is wanted
        }
        for wanted in (chosen, longer)
    )
    return Compared(differences, at_total, [*_without(chosen, bases, against), *_unlike(chosen)])


def base_of(line: Line, bases: Sequence[Line], steps: int | None) -> Line | None:
    """Of `bases` the one with a line's learner that learned for so many `steps`; None where there is none.

    Or for so many within `ROUNDING`: rollouts are whole.
    """
    same = [
        base
        for base in bases
        if _fresh(base) == _fresh(line) and abs(base.first.steps - (steps or 0)) <= ROUNDING * base.first.steps
    ]
    return max(same, key=lambda base: (_learner(base) == _learner(line), base.source == line.source), default=None)


def _fresh(line: Line) -> tuple[object, ...]:
    """The learner, and what its agents had learned before, if anything."""
    return line.algorithm, str(line.first.settings.get("agents_from", ""))


def _learner(line: Line) -> object:
    return line.first.settings.get("settings")


def _without(chosen: Mapping[str, tuple[Line, Line | None]], bases: Sequence[Line], against: str) -> list[str]:
    """A sentence for each learner and budget that has no base."""
    lacking = [line for line, base in chosen.values() if base is None]
    missing: dict[tuple[str, int, str], list[str]] = {}
    for line in lacking:
        warm = " after those of another run" * ("agents_from" in line.first.settings)
        missing.setdefault((line.algorithm, line.first.steps, warm), []).append(line.label)
    known = ", ".join(dict.fromkeys(f"{base.algorithm} with {base.first.steps:,}" for base in bases))
    return [
        f"no difference for {', '.join(labels)}: no run of {against} learned by {algorithm} for {steps:,} steps"
        f"{warm} (there is {known})"
        for (algorithm, steps, warm), labels in missing.items()
    ]


def _unlike(chosen: Mapping[str, tuple[Line, Line | None]]) -> list[str]:
    """A sentence for each line whose learner has other settings than that of its base."""
    notes = []
    for line, base in chosen.values():
        if base is not None and _learner(line) != _learner(base):
            ours, theirs = (_flat({"settings": _learner(each)}) for each in (line, base))
            notes.append(f"{line.label} and its base {base.label} differ in {differing(ours, theirs)}")
    return notes


def differing(ours: Mapping[str, object], theirs: Mapping[str, object]) -> str:
    """In which keys two mappings differ, and how."""
    keys = [key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
    return ", ".join(f"{key} ({ours.get(key)} and {theirs.get(key)})" for key in keys) or "nothing that is recorded"

"""`paymaster list`: all games, mechanisms, algorithms and suites, or one of them in full; as text or as JSON."""

from __future__ import annotations

import inspect
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from textwrap import shorten, wrap
from typing import Any, NotRequired, TypedDict

from ...baselines import MECHANISMS, mechanism_class
from ...core.config import UsageError, did_you_mean
from ...envs import FAMILIES, family, games, make
from ...learning import algorithm_class, algorithms
from ..reports.described import Setting, principal_settings, settings_of
from ..specs.compatibility import why_not
from ..specs.suites import description_of, load_suite, suites

LEAST, MOST = 60, 100  # characters in a line, as the terminal has


class Item(TypedDict):
    """One entry of a list."""

    id: str
    description: str
    not_for: NotRequired[dict[str, str]]  # for a mechanism: the games with which it is incompatible, and the reasons
    settings: NotRequired[dict[str, Setting]]  # for an algorithm, and for the principal of a mechanism: keys of --set


class Whole(TypedDict):
    """One thing in full."""

    id: str
    kind: str
    about: str  # paragraphs
    settings: dict[str, dict[str, Setting]]  # keys of --set, by whose they are
    not_for: dict[str, str]  # for a mechanism, as in `Item`
    runs: list[str]  # of a suite


def named(kinds: Iterable[str]) -> dict[str, list[Item]]:
    """The items of each kind, with no more than what a line of text has."""
    return {kind: KINDS[kind]() for kind in kinds}


def listing(kinds: Iterable[str]) -> dict[str, list[Item]]:
    """The items of each kind, with settings and with what they are not for."""
    items = named(kinds)
    for item in items.get("mechanisms", []):
        if refused := _not_for(item["id"]):
            item["not_for"] = refused
        if settings := principal_settings(item["id"]):
            item["settings"] = settings
    for item in items.get("algorithms", []):
        item["settings"] = settings_of(algorithm_class(item["id"]))
    return items


def written(items: dict[str, list[Item]], *, as_json: bool) -> str:
    """The items as text or as JSON, which is one list for one kind, and otherwise a list for each kind."""
    if as_json:
        return json.dumps(next(iter(items.values())) if len(items) == 1 else items, indent=1)
    told = "\n\n".join(_section(kind, each) for kind, each in items.items())
    return f"{told}\n\npaymaster list ID tells all of one, with its settings"


def _section(kind: str, items: list[Item]) -> str:
    """A line for each item, as long as the terminal is wide."""
    longest, width = max(len(item["id"]) for item in items), _width()
    lines = [f"  {item['id']:{longest}}  {item['description']}".rstrip() for item in items]
    return "\n".join([f"{kind}:", *(line if len(line) <= width else f"{line[: width - 1]}\u2026" for line in lines)])


def whole(id: str) -> list[Whole]:
    """All of what has this id: a game or family of games, a mechanism, an algorithm, a suite.

    Raises UsageError where nothing has it.
    """
    found = [one for tell in (_game, _mechanism, _algorithm, _suite) if (one := tell(id)) is not None]
    if not found:
        known = [*KINDS, *FAMILIES, *games(), *MECHANISMS, *algorithms(), *suites()]
        raise UsageError(did_you_mean("thing to list", id, known))
    return found


def _whole(id: str, kind: str, about: str, **more: Any) -> Whole:
    empty: dict[str, Any] = {"settings": {}, "not_for": {}, "runs": []}
    return {"id": id, "kind": kind, "about": inspect.cleandoc(about), **{**empty, **more}}  # type: ignore[typeddict-item]


def _game(id: str) -> Whole | None:
    name, _, preset = id.partition("/")
    if id not in FAMILIES and id not in games():
        return None
    cls, rules = family(name), settings_of(family(name))
    for rule, value in cls.presets.get(preset, {}).items():
        rules[rule]["default"] = value
    presets = [f"{name}/{each}" for each in cls.presets if not preset]
    return _whole(id, "game", cls.__doc__ or "", settings={"rules": rules}, runs=presets)


def _mechanism(id: str) -> Whole | None:
    if id not in MECHANISMS:
        return None
    cls = mechanism_class(id)
    settings = {"parameters": settings_of(cls), "settings of its principal": principal_settings(id)}
    return _whole(id, "mechanism", cls.__doc__ or "", settings=settings, not_for=_not_for(id))


def _not_for(id: str) -> dict[str, str]:
    """The games that a mechanism is not for, and the reasons."""
    return {name: reason for name in games() if (reason := why_not(id, make(name)))}


def _algorithm(id: str) -> Whole | None:
    if id not in algorithms():
        return None
    cls = algorithm_class(id)
    return _whole(id, "algorithm", cls.__doc__ or "", settings={"settings": settings_of(cls)})


def _suite(id: str) -> Whole | None:
    if id not in suites():
        return None
    suite = load_suite(id)
    runs = [f"{entry.name}: {entry.mechanism}, {entry.algorithm}" for entry in suite.runs]
    return _whole(id, "suite", suite.description, runs=runs)


def told(found: list[Whole], *, as_json: bool) -> str:
    """What has one id in full, as text or as JSON."""
    if as_json:
        return json.dumps(found, indent=1)
    return "\n\n".join(part for one in found for part in _parts(one, _width()))


def _parts(one: Whole, width: int) -> Iterator[str]:
    yield f"{one['id']}, {'an' if one['kind'][0] == 'a' else 'a'} {one['kind']}"
    yield from (_paragraph(paragraph, width) for paragraph in one["about"].split("\n\n"))
    for whose, settings in one["settings"].items():
        if settings:
            yield "\n".join([f"{whose}, for --set:", *_lines(settings, width)])
    if one["runs"]:
        yield "\n".join(["runs:" if one["kind"] == "suite" else "presets:", *(f"  {run}" for run in one["runs"])])
    yield from ("\n".join(wrap(line, width, subsequent_indent="  ")) for line in _refused(one["not_for"]))


def _paragraph(text: str, width: int) -> str:
    """A paragraph as wide as the terminal; a list or what is indented stays as it is."""
    return text if re.search(r"(?m)^( |- )", text) else "\n".join(wrap(text, width))


def _lines(settings: dict[str, Setting], width: int) -> Iterator[str]:
    """Each setting with its default, and below it what it means."""
    for name, setting in settings.items():
        default = (
            shorten(json.dumps(setting["default"]), width // 2, placeholder="...") if "default" in setting else "-"
        )
        yield f"  {name} = {default}"
        yield from (f"      {line}" for line in wrap(setting["help"], width - 6))


def _width() -> int:
    return min(MOST, max(LEAST, shutil.get_terminal_size((MOST, 24)).columns))


def _refused(reasons: dict[str, str]) -> Iterator[str]:
    """One line for each reason, with the message for its first game; `family/*` stands for all games of a family."""
    found: dict[str, list[str]] = {}
    for game, reason in reasons.items():  # reasons that differ only in the game's class and in numbers are one
        general = reason.replace(family(game.partition("/")[0]).__name__, "")
        found.setdefault(re.sub(r"\([^)]*\)|\d", "", general), []).append(game)
    for refused in found.values():
        names: list[str] = []
        for name in dict.fromkeys(game.partition("/")[0] for game in refused):
            presets = [f"{name}/{preset}" for preset in family(name).presets]
            names += [f"{name}/*"] if set(presets) <= {*refused} else [game for game in refused if game in presets]
        yield f"not for {', '.join(names)}: {reasons[refused[0]]}"


def _about(cls: type[Any]) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def _games() -> list[Item]:
    return [
        {
            "id": f"{name}/{preset}",
            "description": ", ".join(f"{rule} {value}" for rule, value in rules.items() if rule != "map"),
        }
        for name in FAMILIES
        for preset, rules in family(name).presets.items()
    ]


def _mechanisms() -> list[Item]:
    return [{"id": id, "description": _about(mechanism_class(id))} for id in MECHANISMS]


def _algorithms() -> list[Item]:
    return [{"id": id, "description": _about(algorithm_class(id))} for id in algorithms()]


def _suites() -> list[Item]:
    return [{"id": id, "description": description_of(id)} for id in suites()]


KINDS: dict[str, Callable[[], list[Item]]] = {
    "games": _games, "mechanisms": _mechanisms, "algorithms": _algorithms, "suites": _suites,
}  # fmt: skip

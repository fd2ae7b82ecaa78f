"""`paymaster list`: all games, mechanisms, algorithms and suites, as text or as JSON."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING
from textwrap import wrap
from typing import Any, NotRequired, TypedDict

from pydantic_core import PydanticUndefined, to_jsonable_python

from ...baselines import MECHANISMS, mechanism_class
from ...core.config import stored_names
from ...envs import FAMILIES, family, games, make
from ...learning import ROLES, algorithm_class, algorithms
from ..specs.compatibility import why_not
from ..specs.suites import load_suite, suites

WIDTH = 100  # characters in a line of settings


class Setting(TypedDict):
    """A setting of a learner."""

    default: NotRequired[object]  # none where it must be given
    help: str


class Item(TypedDict):
    """One entry of a list."""

    id: str
    description: str
    not_for: NotRequired[dict[str, str]]  # for a mechanism: the games with which it is incompatible, and the reasons
    settings: NotRequired[dict[str, Setting]]  # for an algorithm, and for the principal of a mechanism: keys of --set


def listing(kinds: Iterable[str]) -> dict[str, list[Item]]:
    """The items of each kind."""
    return {str(kind): KINDS[str(kind)]() for kind in kinds}


def written(items: dict[str, list[Item]], *, as_json: bool) -> str:
    """The items as text or as JSON, which is one list for one kind, and otherwise a list for each kind."""
    if as_json:
        return json.dumps(next(iter(items.values())) if len(items) == 1 else items, indent=1)
    return "\n\n".join(_section(kind, each) for kind, each in items.items())


def _section(kind: str, items: list[Item]) -> str:
    width = max(len(item["id"]) for item in items)
    lines = [f"{kind}:"]
    for item in items:
        lines.append(f"  {item['id']:{width}}  {item['description']}")
        further = [*_refused(item.get("not_for", {})), *_defaults(kind, item.get("settings", {}))]
        lines += [f"  {'':{width}}  {line}" for line in further]
    return "\n".join(lines)


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


def _defaults(kind: str, settings: dict[str, Setting]) -> Iterator[str]:
    """Lines with the settings and their defaults; a line ends between settings."""
    shown = [f"{name} {json.dumps(one['default']) if 'default' in one else '...'}" for name, one in settings.items()]
    text = ", ".join(each.replace(" ", "\xa0") for each in shown)
    whose = "settings of the principal" if kind == "mechanisms" else "settings"
    lines = wrap(f"{whose}: {text}", WIDTH, break_on_hyphens=False) if settings else []
    yield from (line.replace("\xa0", " ") for line in lines)


def _settings(cls: type[Any], values: object = None, outer: str = "") -> Iterator[tuple[str, Setting]]:
    """The settings of a configuration, of `values` where they stand within another, by the keys of --set."""
    for name in stored_names(cls):
        field = cls.__pydantic_fields__[name]
        default = (
            field.get_default(call_default_factory=True, validated_data={}) if values is None else getattr(values, name)
        )
        if hasattr(field.annotation, "__pydantic_fields__"):
            yield from _settings(field.annotation, default, f"{outer}{name}.")
            continue
        setting: Setting = {"help": field.description or ""}
        if default is not PydanticUndefined and default is not MISSING:
            setting["default"] = to_jsonable_python(default)
        yield f"{outer}{name}", setting


def _about(cls: type[Any]) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def _games() -> list[Item]:
    return [
        {"id": f"{name}/{preset}", "description": ", ".join(f"{rule} {value}" for rule, value in rules.items())}
        for name in FAMILIES
        for preset, rules in family(name).presets.items()
    ]


def _mechanisms() -> list[Item]:
    made = {id: make(id) for id in games()}
    items: list[Item] = []
    for id in MECHANISMS:
        refused = {name: reason for name, game in made.items() if (reason := why_not(id, game))}
        item: Item = {"id": id, "description": _about(mechanism_class(id))}
        if refused:
            item["not_for"] = refused
        named = mechanism_class(id).principal
        role = ROLES.get(named) if isinstance(named, str) else named
        if role is not None:
            item["settings"] = dict(_settings(role))
        items.append(item)
    return items


def _algorithms() -> list[Item]:
    return [
        {"id": id, "description": _about(cls), "settings": dict(_settings(cls))}
        for id in algorithms()
        for cls in [algorithm_class(id)]
    ]


def _suites() -> list[Item]:
    return [{"id": id, "description": load_suite(id).description} for id in suites()]


KINDS: dict[str, Callable[[], list[Item]]] = {
    "games": _games, "mechanisms": _mechanisms, "algorithms": _algorithms, "suites": _suites,
}  # fmt: skip

"""`paymaster list`: all games, mechanisms and suites, as text or as JSON."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NotRequired, TypedDict

from ...baselines import MECHANISMS, mechanism_class
from ...envs import FAMILIES, family, games, make
from ..specs.compatibility import why_not
from ..specs.suites import load_suite, suites


class Item(TypedDict):
    """One entry of a list."""

    id: str
    description: str
    not_for: NotRequired[dict[str, str]]  # for a mechanism: the games with which it is incompatible, and the reasons


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
        lines += [f"  {'':{width}}  {line}" for line in _refused(item.get("not_for", {}))]
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
        item: Item = {"id": id, "description": (inspect.getdoc(mechanism_class(id)) or "").partition("\n")[0]}
        if refused:
            item["not_for"] = refused
        items.append(item)
    return items


def _suites() -> list[Item]:
    return [{"id": id, "description": load_suite(id).description} for id in suites()]


KINDS: dict[str, Callable[[], list[Item]]] = {"games": _games, "mechanisms": _mechanisms, "suites": _suites}

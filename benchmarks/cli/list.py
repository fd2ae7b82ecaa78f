"""What there is to run."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ...baselines import MECHANISMS, mechanism_class
from ...envs import FAMILIES, family, games, make
from ..specs.compatibility import why_not
from ..specs.suites import load_suite, suites

Item = dict[str, Any]  # id, description; of a mechanism also `not_for`: why it is not for a game, for each such game


def listing(kinds: Iterable[str]) -> dict[str, list[Item]]:
    """For each kind its items, with an `id` each."""
    return {str(kind): KINDS[str(kind)]() for kind in kinds}


def written(items: dict[str, list[Item]], *, as_json: bool) -> str:
    """The items for people, or as JSON: one list where one kind was asked for."""
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
    """One line for each reason, as it is told of the first of its games; `family/*` where it is all of a family."""
    found: dict[str, list[str]] = {}
    for game, reason in reasons.items():  # reasons that differ in the game's class and numbers alone are one
        told = reason.replace(family(game.partition("/")[0]).__name__, "")
        found.setdefault(re.sub(r"\([^)]*\)|\d", "", told), []).append(game)
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
        description = (inspect.getdoc(mechanism_class(id)) or "").partition("\n")[0]
        items.append({"id": id, "description": description, **({"not_for": refused} if refused else {})})
    return items


def _suites() -> list[Item]:
    return [{"id": id, "description": load_suite(id).description} for id in suites()]


KINDS: dict[str, Callable[[], list[Item]]] = {"games": _games, "mechanisms": _mechanisms, "suites": _suites}

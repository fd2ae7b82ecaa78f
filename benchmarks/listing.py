"""What there is to run."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable

from ..baselines import MECHANISMS, mechanism_class
from ..envs import FAMILIES, family
from .suites import load_suite, suites

Item = dict[str, str]


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
    return "\n".join([f"{kind}:", *(f"  {item['id']:{width}}  {item['description']}" for item in items)])


def _games() -> list[Item]:
    return [
        {"id": f"{name}/{preset}", "description": ", ".join(f"{rule} {value}" for rule, value in rules.items())}
        for name in FAMILIES
        for preset, rules in family(name).presets.items()
    ]


def _mechanisms() -> list[Item]:
    return [
        {"id": id, "description": (inspect.getdoc(mechanism_class(id)) or "").partition("\n")[0]} for id in MECHANISMS
    ]


def _suites() -> list[Item]:
    return [{"id": id, "description": load_suite(id).description} for id in suites()]


KINDS: dict[str, Callable[[], list[Item]]] = {"games": _games, "mechanisms": _mechanisms, "suites": _suites}

"""Plugins: games and mechanisms from outside the package, which a run records, and worker processes register."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ...baselines import MECHANISMS
from ...contracts.mechanism import Mechanism
from ...core.config import UsageError
from ...core.registry import Registry
from ...envs import FAMILIES
from ...envs.game import Game
from .spec import RunSpec


class Registered(NamedTuple):
    """The classes that were registered in a process, by name."""

    games: dict[str, type[Game]]
    mechanisms: dict[str, type[Mechanism]]


def registered() -> Registered:
    """The classes registered in this process, for another process to register."""
    return Registered(FAMILIES.added, MECHANISMS.added)


def register(classes: Registered) -> None:
    """Register the classes that were registered in another process."""
    for name, game in classes.games.items():
        FAMILIES.add(name, game)
    for name, mechanism in classes.mechanisms.items():
        MECHANISMS.add(name, mechanism)


def plugins(spec: RunSpec) -> list[dict[str, str]]:
    """The games and mechanisms from outside the package that a run and its sources need, without repetition."""
    return list({each["name"]: each for each in _plugins(spec)}.values())


def check_plugins(needed: Iterable[Mapping[str, str]], what: str) -> None:
    """Raise UsageError where a plugin in `needed` is not known here. The message says that `what` needs it."""
    kinds = {registry.what: registry for registry in (FAMILIES, MECHANISMS)}
    for each in needed:
        if each["name"] not in kinds[each["kind"]]:
            version = f" {each['version']}" if each["version"] else ""
            way = f"install {each['package']}" if each["package"] else f"name its module: --plugin {each['module']}"
            raise UsageError(
                f"{what} needs the {each['kind']} {each['name']!r} of {each['package'] or each['module']}{version}, "
                f"which is not known here: {way}"
            )


def _plugins(spec: RunSpec) -> Iterator[dict[str, str]]:
    for registry, name in ((FAMILIES, spec.game.partition("/")[0]), (MECHANISMS, spec.mechanism)):
        if name not in registry.own:
            yield _plugin(registry, name)
    for source in spec.needs():
        yield from _plugins(source)


def _plugin(registry: Registry, name: str) -> dict[str, str]:
    """The origin of a class. The version is that of its package, or else its module's `__version__`, or empty."""
    module = registry[name].__module__
    installed = registry.installed.get(name)
    package = installed.dist if installed else None
    stated = getattr(sys.modules[module.partition(".")[0]], "__version__", "")
    return {
        "kind": registry.what,
        "name": name,
        "module": module,
        "package": package.name if package else "",
        "version": package.version if package else str(stated),
    }

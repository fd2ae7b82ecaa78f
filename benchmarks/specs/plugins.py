"""What a run needs from outside the package: recorded with it, missed by name, handed to the processes that make it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...baselines import MECHANISMS
from ...core.config import UsageError
from ...core.registry import Registry
from ...envs import FAMILIES
from .spec import RunSpec

Registered = tuple[dict[str, type[Any]], dict[str, type[Any]]]  # games and mechanisms by name


def registered() -> Registered:
    """What was registered in this process, to be registered in another."""
    return FAMILIES.added, MECHANISMS.added


def register(classes: Registered) -> None:
    """Register what was registered in another process."""
    for registry, each in zip((FAMILIES, MECHANISMS), classes, strict=True):
        for name, cls in each.items():
            registry.add(name, cls)


def plugins(spec: RunSpec) -> list[dict[str, str]]:
    """The games and mechanisms from outside the package that a run and those before it need, each once."""
    return list({each["name"]: each for each in _plugins(spec)}.values())


def check_plugins(needed: Iterable[Mapping[str, str]], what: str) -> None:
    """Raise UsageError, naming `what` needs it, where one of `plugins` is not known here."""
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
    """Where a class comes from; the version is its package's, or the `__version__` of its module, empty for neither."""
    module = registry[name].__module__
    installed = registry.installed.get(name)
    package = installed.dist if installed else None
    said = getattr(sys.modules[module.partition(".")[0]], "__version__", "")
    return {
        "kind": registry.what,
        "name": name,
        "module": module,
        "package": package.name if package else "",
        "version": package.version if package else str(said),
    }

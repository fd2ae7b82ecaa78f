"""Plugins: what comes from outside the package, which a run records, and worker processes register."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...baselines import MECHANISMS, mechanism_class
from ...core.config import UsageError, did_you_mean
from ...core.registry import Registry
from ...envs import FAMILIES
from ...learning import ROLES
from .spec import RunSpec

REGISTRIES: dict[str, Registry[Any]] = {registry.what: registry for registry in (FAMILIES, MECHANISMS, ROLES)}

Registered = Mapping[str, Mapping[str, type]]  # classes by their kind and their name


def registered() -> Registered:
    """The classes registered in this process, for another process to register."""
    return {kind: registry.added for kind, registry in REGISTRIES.items()}


def register(classes: Registered) -> None:
    """Register the classes that were registered in another process."""
    for kind, found in classes.items():
        for name, cls in found.items():
            REGISTRIES[kind].add(name, cls)


def plugins(spec: RunSpec) -> list[dict[str, str]]:
    """The games, mechanisms and roles from outside the package that a run and its sources need, each once."""
    return list({(each["kind"], each["name"]): each for each in _plugins(spec)}.values())


def check_plugins(needed: Iterable[Mapping[str, str]], what: str) -> None:
    """Raise UsageError where a plugin in `needed` is not known here. The message says that `what` needs it."""
    for each in needed:
        if each["kind"] not in REGISTRIES:
            raise UsageError(f"{what} needs a plugin of an {did_you_mean('kind', each['kind'], REGISTRIES)}")
        if each["name"] not in REGISTRIES[each["kind"]]:
            version = f" {each['version']}" if each["version"] else ""
            way = f"install {each['package']}" if each["package"] else f"name its module: --plugin {each['module']}"
            raise UsageError(
                f"{what} needs the {each['kind']} {each['name']!r} of {each['package'] or each['module']}{version}, "
                f"which is not known here: {way}"
            )


def _plugins(spec: RunSpec) -> Iterator[dict[str, str]]:
    named: list[tuple[Registry[Any], str | type]] = [
        (FAMILIES, spec.game.partition("/")[0]),
        (MECHANISMS, spec.mechanism),
        (ROLES, spec.algorithm),
        (ROLES, mechanism_class(spec.mechanism).principal),  # its class comes with the mechanism, its id does not
    ]
    for registry, name in named:
        if isinstance(name, str) and name and name not in registry.own:
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

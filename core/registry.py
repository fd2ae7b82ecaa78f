"""Classes by name: Paymaster's own, those that a module registers, and those of installed packages."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from traceback import walk_tb
from typing import Generic, TypeVar, cast

from .config import UsageError, did_you_mean

NAME = re.compile(r"[a-z][a-z0-9_-]*")
OUTSIDE = "One from outside Paymaster is known once its module is named: --plugin MODULE."

Kind_co = TypeVar("Kind_co", covariant=True)
Fault = Callable[[object], str]  # what is wrong with a class of a kind; empty for nothing


class Registry(Mapping[str, type[Kind_co]], Generic[Kind_co]):
    """The classes of one kind (`what`) by name; each is imported when it is asked for.

    An installed package offers a class by an entry point of `group`: `fishery = my_package:Fishery` does the same as
    `add("fishery", my_package.Fishery)`. Such packages are looked at when a name is none of the others.
    """

    def __init__(self, what: str, group: str, package: str | None, own: dict[str, str], fault: Fault) -> None:
        self.what, self.group = what, group
        self.own, self.package = own, package  # name: module:class, relative to `package`
        self.fault = fault
        self.added: dict[str, type[Kind_co]] = {}

    def add(self, name: str, cls: object) -> None:
        """Register `cls` as `name`. A class that is defined again, as in a notebook, replaces itself.

        Raises UsageError for a name that is taken or invalid, and for a class that is not of this kind.
        """
        if not NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no name of a {self.what}: lower-case letters, digits, - and _ are allowed")
        taken = _path(self[name]) if name in self.own or name in self.added else ""
        if not taken and name in self.installed and _top(self.installed[name].module) != _top(cls.__module__):
            taken = _entry(self.installed[name])
        if taken and taken != _path(cls):
            raise UsageError(f"{self.what} {name!r} of {_path(cls)} is already taken by {taken}: choose another name")
        self.added[name] = self._checked(name, cls)

    def get_or_tell(self, name: str) -> type[Kind_co]:
        """The class registered as `name`. Raises UsageError for an unknown name."""
        if name not in self:
            raise UsageError(f"{did_you_mean(self.what, name, self)} {OUTSIDE}")
        return self[name]

    def __getitem__(self, name: str) -> type[Kind_co]:
        """Raises UsageError if the class of an installed package cannot be used."""
        if name in self.own:
            module, cls = self.own[name].split(":")
            return getattr(import_module(module, self.package), cls)
        if name not in self.added:
            self.added[name] = self._checked(name, _loaded(self.installed[name]))
        return self.added[name]

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self.added or name in self.installed

    def __iter__(self) -> Iterator[str]:
        return iter({**self.own, **self.added, **self.installed})

    def __len__(self) -> int:
        return len(list(iter(self)))

    @cached_property
    def installed(self) -> dict[str, EntryPoint]:
        """The entry points of installed packages. Raises UsageError if one claims a name that is taken."""
        found: dict[str, EntryPoint] = {}
        for entry in entry_points(group=self.group):
            taken = self.own.get(entry.name) or (found[entry.name].value if entry.name in found else "")
            if taken and taken != entry.value:
                raise UsageError(f"{_entry(entry)}: {entry.name!r} is already taken by {taken}; uninstall that package")
            found[entry.name] = entry
        return found

    def _checked(self, name: str, cls: object) -> type[Kind_co]:
        if fault := self.fault(cls):
            raise UsageError(f"{self.what} {name!r}: {_path(cls)} {fault}")
        return cast(type[Kind_co], cls)


def load_plugin(module: str) -> None:
    """Import a module that registers games, mechanisms and roles, from the current folder or from what is installed.

    Raises UsageError where it cannot be imported, also where it exits.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        import_module(module)
    except KeyboardInterrupt:
        raise
    except UsageError as error:
        raise UsageError(f"--plugin {module}: {error}") from None
    except BaseException as error:
        there = not isinstance(error, ModuleNotFoundError) or not f"{module}.".startswith(f"{error.name}.")
        todo = "mend it" if there else "name a module as Python's import does, here or installed"
        raise UsageError(f"--plugin {module} cannot be imported ({reason(error, {_top(module)})}): {todo}") from None


def reason(error: BaseException, packages: Collection[str] = ()) -> str:
    """The error as a sentence: its type, the first line of its message, and its last line of code in `packages`."""
    said = f"{type(error).__name__}: {error}".splitlines()[0].removesuffix(": ")
    places = [
        f", in {_shown(frame.f_code.co_filename)}:{line}"
        for frame, line in walk_tb(error.__traceback__)
        if _top(frame.f_globals.get("__name__", "")) in packages
    ]
    return said + (places[-1] if places else "")


def _shown(path: str) -> str:
    return path.removeprefix(f"{Path.cwd()}/")


def _loaded(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        said = reason(error, {_top(entry.module)})
        raise UsageError(f"{_entry(entry)} cannot be loaded ({said}): mend or uninstall it") from None


def _entry(entry: EntryPoint) -> str:
    package = f" of the package {entry.dist.name}" if entry.dist else ""
    return f"the entry point {entry.name} = {entry.value}{package}"


def _path(cls: object) -> str:
    return f"{cls.__module__}:{cls.__qualname__}" if isinstance(cls, type) else repr(cls)


def _top(module: str) -> str:
    return module.partition(".")[0]

"""Configuration: frozen, validated dataclasses, and the one error that a user's mistake raises."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib.util import find_spec
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import ErrorDetails

T = TypeVar("T")


class UsageError(ValueError):
    """A mistake in what the user asked for. Its message says the value got, what is allowed, and what to do."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def configuration(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, keyword-only dataclass whose fields are checked against their types and bounds.

    Unknown fields are refused, numbers are never silently rounded, and a field's docstring is its help, also where a
    subclass gives it another default. A field with an alias is stored, and may be given, by that name too.
    """
    config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, use_attribute_docstrings=True,
        validate_by_name=True, validate_by_alias=True,
    )  # fmt: skip
    made = pydantic_dataclass(frozen=True, kw_only=True, config=config)(cls)
    for name, field in made.__pydantic_fields__.items():
        if field.description is None:
            above = (getattr(base, "__pydantic_fields__", {}).get(name) for base in cls.__mro__[1:])
            field.description = next((other.description for other in above if other is not None), None)
    return made  # type: ignore[return-value]


def made_by_configuration(cls: object) -> bool:
    """Whether `cls` itself, and not only a base class, is a class made by `configuration`."""
    return isinstance(cls, type) and "__pydantic_fields__" in vars(cls)


def configure(cls: type[T], values: Mapping[str, object], *, what: str) -> T:
    """`cls(**values)`.

    Raises UsageError, which names `what` was being configured and, for every fault, the value got and those allowed.
    """
    known = {*stored_names(cls), *stored_names(cls).values()}
    for name in values:
        if name not in known:
            raise UsageError(did_you_mean(f"parameter of {what}", name, known))
    for name, stored in stored_names(cls).items():
        if stored != name and name in values and stored in values:
            raise UsageError(f"{what}: {name} and {stored} are one setting, and both are given; leave one out")
    try:
        return cls(**values)
    except ValidationError as error:
        raise UsageError(f"{what}: {'; '.join(_fault(fault) for fault in error.errors())}") from None


LONG = 400  # characters of names that a message still lists


def did_you_mean(kind: str, got: str, allowed: Iterable[str], where: str = "paymaster list tells them") -> str:
    """The message for an unknown name: the name got, the closest names, and all allowed names.

    Where these are many, it has their number, and `where` they are listed.
    """
    names = sorted({*allowed})
    close = difflib.get_close_matches(str(got), names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""
    listed = ", ".join(names) or "none"
    return f"unknown {kind} {got!r}.{hint} Allowed: {listed if len(listed) <= LONG else f'{len(names)}; {where}'}."


def to_json(config: object) -> dict[str, Any]:
    """The fields of a configuration as JSON-ready values by their stored names, defaults included."""
    return TypeAdapter(type(config)).dump_python(config, mode="json", by_alias=True)


def stored_names(cls: type[Any]) -> dict[str, str]:
    """For each field of a configuration's class the name by which it is stored: its alias, or its own."""
    given = {field.name for field in fields(cls) if field.init}
    described = cls.__pydantic_fields__
    return {name: field.alias or name for name, field in described.items() if name in given}


def stored(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` of some fields of a configuration's class, by the names by which they are stored, within them too."""
    names, found = stored_names(cls), dict[str, Any]()
    for name, value in values.items():
        within = cls.__pydantic_fields__[name].annotation if name in names else None
        inner = isinstance(value, dict) and hasattr(within, "__pydantic_fields__")
        found[names.get(name, name)] = stored(within, value) if inner and within else value
    return found


def _fault(fault: ErrorDetails) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    message, got = fault["msg"].replace("a valid tuple", "a list"), f" (got {fault['input']!r})"
    if fault["type"] == "value_error":  # ours: it begins as it should
        message, got = message.removeprefix("Value error, "), got if where else ""
    else:
        message = message[0].lower() + message[1:]
    return f"{where + ': ' if where else ''}{message}{got}"


def require(*packages: str, what: str) -> None:
    """Raise UsageError, naming `what` needs them, for `packages` that are not installed; nothing is imported."""
    missing = [package for package in packages if package not in sys.modules and not _installed(package)]
    if missing:
        raise UsageError(
            f"{what} needs {' and '.join(missing)}, not installed here: `pip install paymaster` installs everything"
        )


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False

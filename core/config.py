"""Configuration: frozen, validated dataclasses, and the one error that a user's mistake raises."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
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

    Unknown fields are refused, numbers are never silently rounded, and a field's docstring is its help.
    """
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, use_attribute_docstrings=True)
    return pydantic_dataclass(frozen=True, kw_only=True, config=config)(cls)  # type: ignore[return-value]


def made_by_configuration(cls: object) -> bool:
    """Whether `cls` itself, and not only a base class, is a class made by `configuration`."""
    return isinstance(cls, type) and "__pydantic_fields__" in vars(cls)


def configure(cls: type[T], values: Mapping[str, object], *, what: str) -> T:
    """`cls(**values)`.

    Raises UsageError, which names `what` was being configured and, for every fault, the value got and those allowed.
    """
    known = [field.name for field in fields(cls) if field.init]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise UsageError(nearest(f"parameter of {what}", name, known))
    try:
        return cls(**values)
    except ValidationError as error:
        raise UsageError(f"{what}: {'; '.join(_fault(fault) for fault in error.errors())}") from None


def nearest(kind: str, got: str, allowed: Iterable[str]) -> str:
    """The message for an unknown name: the name got, the closest names, and all allowed names."""
    names = sorted(allowed)
    close = difflib.get_close_matches(str(got), names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""
    return f"unknown {kind} {got!r}.{hint} Allowed: {', '.join(names) or 'none'}."


def plain(config: object) -> dict[str, Any]:
    """The fields of a configuration as JSON-ready values, defaults included."""
    return TypeAdapter(type(config)).dump_python(config, mode="json")


def _fault(fault: ErrorDetails) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    message, got = fault["msg"].replace("a valid tuple", "a list"), f" (got {fault['input']!r})"
    if fault["type"] == "value_error":  # ours: it begins as it should
        message, got = message.removeprefix("Value error, "), got if where else ""
    else:
        message = message[0].lower() + message[1:]
    return f"{where + ': ' if where else ''}{message}{got}"

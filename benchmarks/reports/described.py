"""What a configuration's fields are, for people: the settings that --set takes, with defaults and meanings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING
from typing import Any, NotRequired, TypedDict

from pydantic_core import PydanticUndefined, to_jsonable_python

from ...baselines import mechanism_class
from ...core.config import stored_names
from ...learning import ROLES


class Setting(TypedDict):
    """A setting of a learner, a parameter of a mechanism, a rule of a game."""

    default: NotRequired[object]  # none where it must be given
    help: str


def settings_of(cls: type[Any]) -> dict[str, Setting]:
    """The settings of a configuration, those within another by `outer.inner`, by the keys of --set."""
    return dict(_settings(cls))


def principal_settings(mechanism: str) -> dict[str, Setting]:
    """The settings of the role that decides for a mechanism; none where nobody does."""
    named = mechanism_class(mechanism).principal
    role = ROLES.get(named) if isinstance(named, str) else named
    return settings_of(role) if role is not None else {}


def meaning(cls: type[Any], name: str) -> str:
    """The help of a field: its own, or that of the field which it declares anew; empty where there is none."""
    found = (vars(base).get("__pydantic_fields__", {}).get(name) for base in cls.__mro__)
    return next((field.description for field in found if field and field.description), "")


def _settings(cls: type[Any], values: object = None, outer: str = "") -> Iterator[tuple[str, Setting]]:
    for name in stored_names(cls):
        if not outer and name == "game":
            continue
        field = cls.__pydantic_fields__[name]
        default = (
            field.get_default(call_default_factory=True, validated_data={}) if values is None else getattr(values, name)
        )
        if hasattr(field.annotation, "__pydantic_fields__"):
            yield from _settings(field.annotation, default, f"{outer}{name}.")
            continue
        setting: Setting = {"help": meaning(cls, name)}
        if default is not PydanticUndefined and default is not MISSING:
            setting["default"] = to_jsonable_python(default)
        yield f"{outer}{name}", setting

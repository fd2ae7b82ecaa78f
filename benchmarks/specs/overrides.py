"""`--set key=value`: finds the section to which a key belongs, and changes a spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

from ...baselines import mechanism_class
from ...core.config import UsageError, did_you_mean, stored, stored_names
from ...envs import family
from ...learning import Resources, algorithm_class, principal_class
from .spec import Reference, RunSpec, Values, read_spec, short
from .strict_yaml import parse

SECTIONS = {
    "game": "rules", "mechanism": "parameters", "algorithm": "settings", "principal": "principal",
    "resources": "resources", "run": "",
}  # fmt: skip
BUDGETS = ("steps", "episodes")


class Place(NamedTuple):
    """The place of a key in a spec."""

    section: str  # of SECTIONS
    key: str  # as the user writes it: `lr`, or `network.hidden` for a setting within settings
    stored: str  # the name under which it is stored


def parse_settings(pairs: Iterable[str]) -> Values:
    """The values in pairs such as `["lr=3e-4", ...]`. Raises UsageError for text that is no such pair."""
    settings: Values = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set takes key=value (got {short(pair)}), for instance --set lr=3e-4")
        value = parse(text, what=f"the value of --set {key}")
        if isinstance(value, dict):
            raise UsageError(f"--set {key} takes a number, a word or a list (got {short(text)})")
        settings[key.strip()] = value
    return settings


def override(specs: Iterable[RunSpec], settings: Mapping[str, object]) -> list[RunSpec]:
    """The specs with the settings applied, to the specs on which they depend as well.

    A key is looked up among the game's rules, the mechanism's parameters, the algorithm's settings, the principal's,
    the resources and the budgets; `algorithm.lr` names the section itself. Raises UsageError for an unknown key, and
    for a key that belongs to two sections of one run.
    """
    specs = list(specs)
    known = {key for spec in specs for each in _family(spec) for places in [_places(each)] for key in _keys(places)}
    for key in settings:
        if key not in known:
            where = "paymaster list ID tells those of a game, a mechanism or an algorithm"
            raise UsageError(did_you_mean("key of --set", key, known, where))
    return [_changed(spec, settings) for spec in specs]


def _changed(spec: RunSpec, settings: Mapping[str, object]) -> RunSpec:
    values = {name: getattr(spec, name) for name in RunSpec.model_fields}
    for name in ("rules", "parameters", "settings", "principal", "resources"):
        values[name] = _copied(values[name])
    if spec.principal_from is not None:
        values["principal_from"] = _changed(spec.principal_from, settings)
    if spec.agents_from is not None:
        values["agents_from"] = _changed(spec.agents_from, settings)
    values["policies_from"] = {name: _changed(source, settings) for name, source in spec.policies_from.items()}
    for name, value in values["parameters"].items():
        if isinstance(value, Reference):
            values["parameters"][name] = value.model_copy(update={"source": _changed(value.source, settings)})
    values["settings"] = stored(algorithm_class(spec.algorithm), values["settings"])
    principal = principal_class(mechanism_class(spec.mechanism))
    if principal is not None:
        values["principal"] = stored(principal, values["principal"])
    places = _places(spec)
    for key, value in settings.items():
        place = _place(key, places)
        if place is not None:
            _put(values, place, value)
    return read_spec(values, what="--set")


def _place(key: str, places: list[Place]) -> Place | None:
    section, _, rest = key.partition(".")
    found = [place for place in places if place.key == key or (place.section == section and place.key == rest)]
    if len(found) > 1:
        choices = " or ".join(f"{place.section}.{place.key}" for place in found)
        raise UsageError(f"--set {key} is ambiguous: write {choices}")
    return found[0] if found else None


def _places(spec: RunSpec) -> list[Place]:
    """The places of all keys that a spec can have."""
    game = family(spec.game.partition("/")[0])
    rules, parameters = _leaves(game), _leaves(mechanism_class(spec.mechanism))
    places = [Place("game", *leaf) for leaf in rules]
    places += [Place("mechanism", *leaf) for leaf in parameters if leaf.key != "game"]
    places += [Place("algorithm", *leaf) for leaf in _leaves(algorithm_class(spec.algorithm))]
    principal = principal_class(mechanism_class(spec.mechanism))
    if principal is not None:
        given = stored(principal, spec.principal)
        taken = spec.principal_from is not None
        places += [Place("principal", *leaf) for leaf in _leaves(principal) if not taken or leaf.stored in given]
    places += [Place("resources", *leaf) for leaf in _leaves(Resources)]
    return places + [Place("run", key, key) for key in BUDGETS]


def _keys(places: list[Place]) -> Iterator[str]:
    for place in places:
        yield place.key
        yield f"{place.section}.{place.key}"


class Leaf(NamedTuple):
    """A field of a configuration: a name by which it may be written, and the name under which it is stored."""

    key: str
    stored: str


def _leaves(cls: type[Any]) -> Iterator[Leaf]:
    """The fields of a configuration; a field of a configuration within it is called `outer.inner`."""
    for name, kept in stored_names(cls).items():
        within = cls.__pydantic_fields__[name].annotation
        if hasattr(within, "__pydantic_fields__"):
            yield from (Leaf(f"{name}.{leaf.key}", f"{kept}.{leaf.stored}") for leaf in _leaves(within))
        else:
            yield from (Leaf(key, kept) for key in dict.fromkeys((kept, name)))


def _family(spec: RunSpec) -> Iterator[RunSpec]:
    yield spec
    for source in spec.needs():
        yield from _family(source)


def _put(values: Values, place: Place, value: object) -> None:
    *outer, last = filter(None, [SECTIONS[place.section], *place.stored.split(".")])
    target = values
    for name in outer:
        target = cast(Values, target.setdefault(name, {}))
    target[last] = value


def _copied(value: object) -> object:
    return {key: _copied(each) for key, each in value.items()} if isinstance(value, dict) else value

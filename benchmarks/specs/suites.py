"""Suites: immutable lists of runs with printable ids. A suite is a YAML file of Paymaster or of the user."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from pydantic import Field, ValidationError, model_validator

from ...baselines import mechanism_class
from ...core.config import UsageError, did_you_mean
from .spec import Column, Model, Reference, RunSpec, Values, faults
from .strict_yaml import read

FOLDER = Path(__file__).parents[1] / "suites"
COLUMNS: tuple[str, ...] = get_args(Column)


class Origin(Model):
    """`{from: principal-dqn/dqn.payment_share}`: a value (`COLUMNS`) of another entry's run of the same seed."""

    source: str = Field(alias="from", pattern=r"^.+\.[a-z_]+$")


class Entry(Model):
    """One entry of a suite, with the settings that differ from those of the suite."""

    id: str = ""
    """The entry's name; by default mechanism/algorithm."""
    mechanism: str
    parameters: Values = Field({})
    algorithm: str = "dqn"
    settings: Values = Field({})
    """Settings of the algorithm, which take precedence over the suite's."""
    principal: Values = Field({})
    """Settings of the principal's training, which take precedence over the suite's."""
    principal_from: str = ""
    """The name of the entry whose trained principal is taken."""

    @property
    def name(self) -> str:
        return self.id or f"{self.mechanism}/{self.algorithm}"


class Suite(Model):
    """A game and the runs that are made in it, once for every seed."""

    description: str = ""
    game: str
    rules: Values = Field({})
    variations: tuple[Values, ...] = Field(({},), min_length=1)
    """Changes of the suite's rules: every run is made once under each of them."""
    steps: int = Field(ge=1)
    """The budget: environment steps in which fresh agents learn under each mechanism, equal for all runs."""
    episodes: int = Field(1024, ge=1)
    seeds: int = Field(5, ge=1)
    """The number of seeds, which are 0, 1, ..."""
    settings: dict[str, Values] = Field({})
    """Settings that differ from the defaults, for each algorithm."""
    principal: Values = Field({})
    """Settings of the principals' training that differ from the defaults."""
    resources: Values = Field({})
    """Remote runners, remote learners and GPUs of every run."""
    runs: tuple[Entry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Suite:
        names = [entry.name for entry in self.runs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} appears twice among the runs: give one an id of its own")
        return self


def suites() -> list[str]:
    """The ids of the suites that come with Paymaster."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_suite(name: str) -> Suite:
    """A suite by its id, or from the user's YAML file. Raises UsageError for an unknown or malformed suite."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not name.endswith((".yaml", ".yml")) and name not in suites():
        raise UsageError(did_you_mean("suite", name, suites()))
    values = read(path)
    if not isinstance(values, dict):
        raise UsageError(f"{path} must hold a mapping with game, steps and runs (got {type(values).__name__})")
    try:
        return Suite.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{path}: {faults(error)}") from None


def expand(suite: Suite, *, seeds: int | None = None, first: int = 0) -> list[RunSpec]:
    """The specs of the suite's runs, ordered by seed, then by variation, each with the specs on which it depends.

    Raises UsageError for a broken reference.
    """
    count = suite.seeds if seeds is None else seeds
    if count < 1:
        raise UsageError(f"the number of seeds must be at least 1 (got {count})")
    entries = {entry.name: entry for entry in suite.runs}
    varied = [suite.model_copy(update={"rules": {**suite.rules, **rules}}) for rules in suite.variations]
    return [
        _spec(each, entries, entry, seed, ())
        for seed in range(first, first + count)
        for each in varied
        for entry in suite.runs
    ]


def _spec(suite: Suite, entries: dict[str, Entry], entry: Entry, seed: int, above: tuple[str, ...]) -> RunSpec:
    if entry.name in above:
        raise UsageError(f"runs depend on each other in a circle: {' -> '.join((*above, entry.name))}")

    def other(name: str) -> RunSpec:
        if name not in entries:
            raise UsageError(f"{entry.name} refers to an {did_you_mean('entry of the suite', name, entries)}")
        return _spec(suite, entries, entries[name], seed, (*above, entry.name))

    own = not entry.principal_from
    return RunSpec(
        game=suite.game,
        rules=suite.rules,
        mechanism=entry.mechanism,
        parameters={name: _parameter(value, other) for name, value in entry.parameters.items()},
        algorithm=entry.algorithm,
        settings={**suite.settings.get(entry.algorithm, {}), **entry.settings},
        principal={**suite.principal, **entry.principal} if own and _trains(entry) else entry.principal,
        principal_from=None if own else other(entry.principal_from),
        resources=suite.resources,
        steps=suite.steps,
        episodes=suite.episodes,
        seed=seed,
    )


def _trains(entry: Entry) -> bool:
    return bool(mechanism_class(entry.mechanism).principal)


def _parameter(value: object, other: Callable[[str], RunSpec]) -> object:
    if not isinstance(value, dict) or "from" not in value:
        return value
    try:
        source = Origin.model_validate(value).source
    except ValidationError:
        raise UsageError(f"a parameter is a value or {{from: ENTRY.payment_share}} (got {value!r})") from None
    name, _, column = source.rpartition(".")
    if column not in COLUMNS:
        raise UsageError(f"a parameter can be another run's {' or '.join(COLUMNS)} (got {column!r})")
    return Reference(source=other(name), column=column)

"""Suites: immutable lists of runs with printable ids. A suite is a YAML file of Paymaster or of the user.

A user's file may extend another suite: it adds runs to those of that suite, which stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os.path import normpath
from pathlib import Path
from typing import get_args

from pydantic import Field, ValidationError, model_validator

from ...baselines import mechanism_class
from ...core.config import UsageError, did_you_mean
from ...learning import Role, principal_class
from ...learning.agents.mixed import MIXED
from .spec import Column, Model, Reference, RunSpec, Values, faults
from .strict_yaml import parse, read

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
    steps: int | None = Field(None, ge=1)
    """The agents' budget where it is not the suite's: for agents that learn as long as a mechanism and its agents do
    together, beside those at the suite's budget."""
    principal: Values = Field({})
    """Settings of the principal's training, which take precedence over the suite's."""
    principal_from: str = ""
    """The name of the entry whose trained principal is taken."""
    agents_from: str = ""
    """The name of the entry whose agents learn further here in place of fresh ones."""
    policies_from: dict[str, str] = Field({})
    """The names of the entries by whose policies the agents play, under `ccc` as {cooperative: joint/dqn, selfish:
    selfish/dqn}."""

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
    """The budget: environment steps in which fresh agents learn under each mechanism, equal for all runs but those with
    `steps` of their own."""
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

    def principal_of(self, entry: Entry) -> Values:
        """The settings of the principal that an entry trains."""
        return {**self.principal, **entry.principal}


class Extended(Suite):
    """A suite with further runs among its `runs`, under its rules and at its budget."""

    own: tuple[Entry, ...]
    """The suite's own runs: its settings of principals are for the roles that they train, and for no others."""

    def principal_of(self, entry: Entry) -> Values:
        return super().principal_of(entry) if _role(entry) in map(_role, self.own) else entry.principal


class Extension(Model):
    """A file with runs that stand beside those of another suite. What makes the runs comparable is that suite's."""

    extends: str
    """The id of a suite, or the path of another file, relative to this one."""
    description: str = ""
    seeds: int | None = Field(None, ge=1)
    settings: dict[str, Values] = Field({})
    """Settings of algorithms that no run of the other suite uses."""
    runs: tuple[Entry, ...] = Field(min_length=1)


def suites() -> list[str]:
    """The ids of the suites that come with Paymaster."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def description_of(id: str) -> str:
    """What a suite that comes with Paymaster asks: by its line alone, since to read all suites takes half a second."""
    lines = (FOLDER / f"{id}.yaml").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith("description:")]
    return str(parse(line.partition(":")[2], what=id))


def load_suite(name: str) -> Suite:
    """A suite by its id, or from the user's YAML file. Raises UsageError for an unknown or malformed suite."""
    return _load(_path(name, Path()), ())


def extended(suite: Suite, entries: Iterable[Entry], **changes: object) -> Extended:
    """The suite with further `entries`, and `changes` of its other fields; its own runs stay what they are.

    Raises UsageError for an entry whose name is taken.
    """
    runs = [*suite.runs]
    for entry in entries:
        if entry.name in [other.name for other in runs]:
            raise UsageError(f"{entry.name} is already a run of the suite: give yours an id of its own")
        runs.append(entry)
    own = suite.own if isinstance(suite, Extended) else suite.runs
    return Extended.model_validate({**dict(suite), "own": own, **changes, "runs": tuple(runs)})


def _path(name: str, beside: Path) -> Path:
    if name.endswith((".yaml", ".yml")):
        return beside / name
    if name not in suites():
        raise UsageError(did_you_mean("suite", name, suites()))
    return FOLDER / f"{name}.yaml"


def _load(path: Path, above: tuple[Path, ...]) -> Suite:
    """The suite in a file, which the files `above` extend."""
    if path in above:
        raise UsageError(f"suites extend each other in a circle: {' -> '.join(map(str, (*above, path)))}")
    values = read(path)
    if not isinstance(values, dict):
        raise UsageError(f"{path} must hold a mapping with game, steps and runs (got {type(values).__name__})")
    try:
        return _extending(path, values, above) if "extends" in values else Suite.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{path}: {faults(error)}") from None


def _extending(path: Path, values: Values, above: tuple[Path, ...]) -> Suite:
    fixed = [name for name in values if name in Suite.model_fields and name not in Extension.model_fields]
    if fixed:
        raise UsageError(
            f"{path} has the {' and '.join(fixed)} of {values['extends']}, which it extends, so that their runs are "
            f"comparable: leave {' and '.join(fixed)} out; allowed are {', '.join(Extension.model_fields)}"
        )
    extension = Extension.model_validate(values)
    try:
        base = _load(Path(normpath(_path(extension.extends, path.parent))), (*above, path))
        used = {*base.settings, *(entry.algorithm for entry in base.runs)} & extension.settings.keys()
        if used:
            raise UsageError(f"settings of {', '.join(sorted(used))}: {extension.extends} has them; give a run its own")
        changes = extension.model_dump(include={"description", "seeds"}, exclude_unset=True)
        return extended(base, extension.runs, settings={**base.settings, **extension.settings}, **changes)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


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


def _settings(suite: Suite, entry: Entry) -> Values:
    """The settings of an entry's algorithm; a mixture's learners have those that the suite gives each."""
    settings = {**suite.settings.get(entry.algorithm, {}), **entry.settings}
    agents, own = settings.get("agents"), settings.get("settings", {})
    if entry.algorithm != MIXED or not isinstance(agents, list | tuple) or not isinstance(own, dict):
        return settings  # a fault is told where a spec is resolved
    shared = {id: values for id, values in suite.settings.items() if id in agents}
    return {**settings, "settings": {**own, **{id: {**values, **own.get(id, {})} for id, values in shared.items()}}}


def _spec(suite: Suite, entries: dict[str, Entry], entry: Entry, seed: int, above: tuple[str, ...]) -> RunSpec:
    if entry.name in above:
        raise UsageError(f"runs depend on each other in a circle: {' -> '.join((*above, entry.name))}")

    def other(name: str) -> RunSpec:
        if name not in entries:
            raise UsageError(f"{entry.name} refers to an {did_you_mean('entry of the suite', name, entries)}")
        return _spec(suite, entries, entries[name], seed, (*above, entry.name))

    trains = _role(entry) is not None and not entry.principal_from
    return RunSpec(
        game=suite.game,
        rules=suite.rules,
        mechanism=entry.mechanism,
        parameters={name: _parameter(value, other) for name, value in entry.parameters.items()},
        algorithm=entry.algorithm,
        settings=_settings(suite, entry),
        principal=suite.principal_of(entry) if trains else entry.principal,
        principal_from=other(entry.principal_from) if entry.principal_from else None,
        agents_from=other(entry.agents_from) if entry.agents_from else None,
        policies_from={name: other(source) for name, source in entry.policies_from.items()},
        resources=suite.resources,
        steps=entry.steps or suite.steps,
        episodes=suite.episodes,
        seed=seed,
    )


def _role(entry: Entry) -> type[Role] | None:
    """The role that decides for the entry's mechanism; None where nobody does."""
    return principal_class(mechanism_class(entry.mechanism))


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

"""Evaluated runs as rows: read from run folders and from CSV tables, and written to such tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

from pydantic import ConfigDict, Field, FiniteFloat, Json, JsonValue, TypeAdapter, ValidationError, field_validator
from pydantic.dataclasses import dataclass

from ...core.config import UsageError
from ..files import RUN, runs
from ..measures.audit import read_audit
from ..measures.columns import COLUMNS, RunData, Stored
from ..runs.record import read_about, read_episodes
from ..specs.run_names import learner_name
from ..specs.spec import faults

PUBLISHED = Path(__file__).resolve().parents[2] / "results" / "published.csv"

SETTINGS = ("parameters", "settings", "principal", "episodes", "agents_from", "policies_from")  # kept of a run's values
TOLD = ("total_steps", "label")  # columns that a table has for its readers: they follow from the others

Word = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]  # printable: it ends on somebody's terminal
Count = Annotated[int, Field(ge=0)]
Settings = Json[dict[str, JsonValue]] | dict[str, JsonValue]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Evaluated:
    """The evaluation of one run, that is of one seed: which run it is, and its metrics, `row["welfare"]`."""

    game: Word
    game_version: Count
    rules: Settings
    horizon: Count
    agents: Count
    mechanism: Word
    name: Word  # the mechanism with its parameters
    algorithm: Word
    variant: Word  # the same for runs that differ in their seed alone
    settings: Settings
    seed: Count
    steps: Count  # in which the agents learned
    principal_steps: Count  # in which its mechanism learned before: its principal, and all that other runs gave it
    seconds: FiniteFloat  # of all phases
    episodes: Count
    run: Word  # its folder, relative
    metrics: dict[str, FiniteFloat]  # the stored columns that are defined and known, by name

    @field_validator("metrics")
    @classmethod
    def _complete(cls, metrics: dict[str, float]) -> dict[str, float]:
        missing = [name for name in _stored(Stored.VALUE) if name not in metrics]
        if missing:
            raise ValueError(f"no value of {', '.join(missing)}")
        return metrics

    @property
    def total_steps(self) -> int | None:
        """All environment steps that were learned in; None for a row from before those of other runs were recorded."""
        unknown = not self.principal_steps and _taken(self.settings)
        return None if unknown else self.steps + self.principal_steps

    def __getitem__(self, name: str) -> float | None:
        """A metric; None where it is undefined or unknown."""
        column = COLUMNS[name]
        return column.of_row(self.metrics) if column.of_row else self.metrics.get(name)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Published:
    """A number that others published, under rules of theirs."""

    game: Word
    rules: Word
    agents: Word
    mechanism: Word
    learner: Word
    metric: Word
    low: FiniteFloat
    high: FiniteFloat  # as `low`, but where a range was given
    source: Word
    known: Word  # how we know: "read" in the paper or its code, "relayed" by others, "remembered" and to be read


class Dataset(NamedTuple):
    """What a folder of runs or a table holds."""

    rows: list[tuple[str, Evaluated]]  # each with the folder or the table in which it stands
    published: list[Published]
    damaged: list[str]  # a sentence for each part that is damaged


Row = TypeVar("Row", Evaluated, Published)


def _taken(settings: object) -> bool:
    """Whether another run gave any of the settings."""
    return isinstance(settings, dict) and ("from" in settings or any(map(_taken, settings.values())))


def read(path: Path) -> Dataset:
    """Every row of a folder of runs or of a table.

    Raises UsageError where nothing of the kind is at `path`.
    """
    if path.is_dir():
        return _read_folder(path)
    if path.is_file() and path.suffix.lower() == ".csv":
        try:
            return _read_table(path)
        except UsageError as error:
            return Dataset([], [], [str(error)])
    raise UsageError(f"{path} is neither a folder of runs nor a table (.csv)")


def of_run(folder: Path) -> Evaluated:
    """The row of a run folder. Raises UsageError for a damaged one."""
    about = read_about(folder / RUN)
    try:
        resolved = about["resolved"]
        run = RunData(read_episodes(folder, "evaluate"), read_audit(folder), about["evaluated"])
        if not len(run.episodes):
            raise ValueError("it holds no evaluated episode")
        computed = {name: column.of_run(run) for name, column in COLUMNS.items() if column.of_run}
        same = ("game", "game_version", "rules", "mechanism", "seed")
        return Evaluated(
            **{name: resolved[name] for name in same},
            horizon=resolved["rules"]["horizon"],
            agents=len(resolved["agents"]),
            algorithm=learner_name(resolved),
            name=about["name"],
            variant=about["variant"],
            settings={key: resolved[key] for key in SETTINGS if key in resolved},
            steps=resolved["steps"] if about["steps"].get("validate") else 0,  # agents that are computed take none
            principal_steps=about["steps"].get("train", 0) + sum(about.get("steps_taken", {}).values()),
            seconds=round(sum(about["seconds"].values()), 1),
            episodes=len(run.episodes),
            run=about["run"],
            metrics={name: value for name, value in computed.items() if value is not None},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder} is damaged: {_reason(error)}") from None


def write(rows: Sequence[Evaluated], labels: Sequence[str] = ()) -> str:
    """The rows as CSV, which `read` reads again; `labels` are those of the lines to which they belong."""
    text = io.StringIO()
    writer = csv.DictWriter(text, table_columns(), restval="", lineterminator="\n")
    writer.writeheader()
    for row, label in zip(rows, labels or [""] * len(rows), strict=True):
        told = {"total_steps": row.total_steps, "label": label}
        writer.writerow({name: _cell(getattr(row, name)) for name in _identity()} | told | row.metrics)
    return text.getvalue()


def table_columns() -> list[str]:
    """The columns of a table, in order."""
    *first, run = _identity()
    return [*first, *_stored(Stored.VALUE, Stored.COLUMN), run, *_stored(Stored.LATER), *TOLD]


def _identity() -> list[str]:
    """The columns that tell which run a row is."""
    return [field.name for field in fields(Evaluated) if field.name != "metrics"]


def _stored(*how: Stored) -> list[str]:
    return [name for name, column in COLUMNS.items() if column.stored in how]


def _read_folder(path: Path) -> Dataset:
    folders = runs(path)
    if not folders:
        raise UsageError(f"{path} holds no finished run")
    found = Dataset([], [], [])
    for folder in folders:
        try:
            row = of_run(folder)
            found.rows.append((source_of(folder, row.run), row))
        except UsageError as error:
            found.damaged.append(str(error))
    return found


def source_of(folder: Path, run: str) -> str:
    """What lines call the folder of results in which `folder` lies, the folder of the `run`."""
    return str(folder).removesuffix(run).rstrip("/")


def _read_table(path: Path) -> Dataset:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            columns, lines = set(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    if columns == {field.name for field in fields(Published)}:
        return Dataset([], list(_rows(path, Published, lines)), [])
    required, known = {*_identity(), *_stored(Stored.VALUE, Stored.COLUMN)}, set(table_columns())
    if required <= columns <= known:
        return Dataset([(str(path), row) for row in _rows(path, Evaluated, map(_grouped, lines))], [], [])
    missing, unknown = (", ".join(sorted(names)) or "none" for names in (required - columns, columns - known))
    raise UsageError(f"{path} is no table of ours: columns missing: {missing}; columns unknown: {unknown}")


def _grouped(line: Mapping[str, str]) -> dict[str, object]:
    """A line whose metrics stand together; empty cells among them are left out."""
    stored = _stored(Stored.VALUE, Stored.COLUMN, Stored.LATER)
    others = {name: cell for name, cell in line.items() if name not in (*stored, *TOLD)}
    return {**others, "metrics": {name: cell for name in stored if (cell := line.get(name))}}


def _rows(path: Path, kind: type[Row], lines: Iterable[Mapping[str, object]]) -> Iterator[Row]:
    adapter = TypeAdapter(kind)
    for number, line in enumerate(lines, 2):
        try:
            yield adapter.validate_python(line)
        except ValidationError as error:
            raise UsageError(f"{path} is damaged in line {number}: {faults(error)}") from None


def _cell(value: object) -> object:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value


def _reason(error: Exception) -> str:
    return faults(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"

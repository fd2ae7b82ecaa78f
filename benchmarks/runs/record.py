"""The record of a run: a row for every episode of every phase, learning curves, and the run's provenance."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...contracts.episodes import MEASURES, Episodes
from ...core.config import UsageError
from ...envs.game import values_its_own
from ..files import RUN
from ..measures.formulas import equality, payment_share
from ..specs.plugins import check_plugins
from ..specs.resolve import Resolved
from ..specs.run_names import learner_name
from ..specs.spec import RunSpec, read_spec

if TYPE_CHECKING:
    import pandas as pd

DERIVED: dict[str, Callable[[Episodes], np.ndarray]] = {  # columns that are computed from measured ones
    "welfare": lambda episodes: episodes.returns.sum(axis=1),
    "principal_payment": lambda episodes: episodes.payments.sum(axis=1),
    "payment_share": lambda episodes: payment_share(episodes.returns.sum(axis=1), episodes.payments.sum(axis=1)),
    "equality": lambda episodes: equality(episodes.returns),
}
EPISODES, TRAINING = "episodes.parquet", "training.parquet"
PHASES = ("train", "validate", "evaluate")


class Record:
    """Collects the reports of a run's phases; `save` writes them.

    `terms` names the columns in which the run's mechanism records its terms. `in_favour` is the share of the agents
    that prefer the signed contract to none; None where none is signed.
    """

    def __init__(self, resolved: Resolved, terms: tuple[str, ...], in_favour: float | None) -> None:
        self.resolved, self.terms, self.in_favour = resolved, terms, in_favour
        self.episodes: dict[str, list[Episodes]] = {}
        self.training: list[dict[str, object]] = []
        self.steps: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.deviation_regret: dict[str, np.ndarray] = {}  # (E,) for the finished episodes of a phase, where known

    def add(self, phase: str, steps: int, episodes: Episodes | None, training: Mapping[str, float]) -> None:
        """Add the report of `phase` at its environment step `steps`."""
        self.steps[phase] = steps
        if episodes is not None and len(episodes.steps):
            self.episodes.setdefault(phase, []).append(episodes)
        self.training += [
            {"phase": phase, "steps": steps, "name": name, "value": float(value)} for name, value in training.items()
        ]

    def finished(self, phase: str) -> Episodes:
        """All finished episodes of a phase."""
        parts = self.episodes[phase]
        return Episodes.joined(parts)

    def save(self, folder: Path) -> None:
        """Write episodes.parquet and training.parquet."""
        tables = [self._table(phase) for phase in PHASES if phase in self.episodes]
        pq.write_table(pa.concat_tables(tables), folder / EPISODES, compression="zstd")
        schema = pa.schema({"phase": pa.string(), "steps": pa.int64(), "name": pa.string(), "value": pa.float64()})
        pq.write_table(pa.Table.from_pylist(self.training, schema=schema), folder / TRAINING, compression="zstd")

    def _table(self, phase: str) -> pa.Table:
        episodes = self.finished(phase)
        table = episode_table(self.resolved, phase, episodes, self.deviation_regret.get(phase))
        terms = episodes.terms
        if terms.shape[1] != len(self.terms):  # a principal may learn under another mechanism
            terms = np.full((len(table), len(self.terms)), np.nan)
        for name, column in zip(self.terms, terms.T, strict=True):
            table = table.append_column(f"terms_{name}", _nullable(column))
        if self.in_favour is not None:
            table = table.append_column("in_favour", _nullable(np.full(len(table), self.in_favour)))
        return table


def episode_table(
    resolved: Resolved, phase: str, episodes: Episodes, deviation_regret: np.ndarray | None = None
) -> pa.Table:
    """A row for each episode: its run, its phase, and the rewards, payments and transfers of the agents.

    Payment share, equality, compliance and deviation regret are empty where they are undefined or unknown. The
    `principal_return`, the principal's return before it pays, is empty where the principal values welfare instead.
    """
    values, count = resolved.values, len(episodes)
    same = {
        "run": resolved.folder, "game": values["game"], "game_version": values["game_version"],
        "mechanism": values["mechanism"], "algorithm": learner_name(values), "seed": values["seed"], "phase": phase,
    }  # fmt: skip
    columns: dict[str, object] = {name: [value] * count for name, value in same.items()} | {
        "episode": np.arange(count),
        "steps": episodes.steps,
        "key": episodes.key,
        "length": episodes.length,
        **{name: _nullable(of(episodes)) for name, of in DERIVED.items()},
        "deviation_regret": pa.nulls(count, pa.float64()) if deviation_regret is None else pa.array(deviation_regret),
    }
    for name, measure in MEASURES.items():
        found = episodes.columns[name]
        if measure.axis == "episode":
            columns[measure.column] = _nullable(found)
        elif measure.axis == "agent":
            columns |= {f"{measure.column}_{i}": found[:, i] for i in range(found.shape[1])}
    if not values_its_own(resolved.game):
        columns["principal_return"] = pa.nulls(count, pa.float64())
    return pa.table(columns)


def write_about(folder: Path, about: Mapping[str, object]) -> None:
    """Write run.json."""
    (folder / RUN).write_text(json.dumps(about, indent=1) + "\n")


def read_about(path: Path) -> dict[str, Any]:
    """The content of a run.json. Raises UsageError where the file is missing or damaged."""
    try:
        about = json.loads(path.read_text())
        if not isinstance(about, dict) or not {"run", "spec", "resolved", "variant"} <= about.keys():
            raise ValueError("it is no record of a run")
    except (OSError, RecursionError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    return about


def read_run_spec(path: Path) -> RunSpec:
    """The spec in a run.json, with which the run can be made again.

    Raises UsageError where the file is missing or damaged, or needs a game or a mechanism that is not known here.
    """
    about = read_about(path)
    try:
        check_plugins(about.get("plugins", []), str(path))
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged: what it says of plugins cannot be read ({error})") from None
    return read_spec(about["spec"], what=str(path))


def read_episodes(folder: Path, phase: str | None = None, columns: list[str] | None = None) -> pd.DataFrame:
    """The episodes of a run, of one phase or of all, as a pandas DataFrame. Columns that are missing are empty.

    Raises UsageError for a damaged file.
    """
    return _read(folder / EPISODES, phase, columns)


def read_training(folder: Path) -> pd.DataFrame:
    """The losses of a run, as a DataFrame of phase, steps, name and value. Raises UsageError for a damaged file."""
    return _read(folder / TRAINING, None, None)


def _read(path: Path, phase: str | None, columns: list[str] | None) -> pd.DataFrame:
    filters = [("phase", "==", phase)] if phase else None
    try:
        there = set(pq.read_schema(path).names)
        known = None if columns is None else [column for column in columns if column in there]
        found = pq.read_table(path, columns=known, filters=filters).to_pandas()
        return found if columns is None else found.reindex(columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def _nullable(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype(np.float64), mask=np.isnan(values))

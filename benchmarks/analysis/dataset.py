"""Evaluated runs as rows: read from run folders and from CSV tables, and written to such tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import MISSING
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, FiniteFloat, Json, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ...core.config import UsageError
from ..files import RUN, runs
from ..measures.audit import Audit, Money, read_audit, regret
from ..runs.record import read_about, read_episodes
from ..specs.spec import faults

PUBLISHED = Path(__file__).resolve().parents[2] / "results" / "published.csv"
MEANS = (
    "welfare", "principal_payment", "transfer_volume", "equality", "compliance", "deviation_regret", "principal_return",
)  # fmt: skip
HELD = "terms_held"  # of mechanisms to which agents agree: whether they did

Word = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]  # printable: it ends on somebody's terminal
Count = Annotated[int, Field(ge=0)]
Values = Json[dict[str, Any]] | dict[str, Any]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Evaluated:
    """The evaluation of one run, that is of one seed: means over its episodes. Empty where undefined or not known."""

    game: Word
    game_version: Count
    rules: Values
    horizon: Count
    agents: Count
    mechanism: Word
    name: Word  # the mechanism with its parameters
    algorithm: Word
    variant: Word  # the same for runs that differ in their seed alone
    settings: Values
    seed: Count
    steps: Count  # in which the agents learned
    principal_steps: Count  # in which the run's own principal learned before
    seconds: FiniteFloat  # of all phases
    episodes: Count
    welfare: FiniteFloat
    principal_payment: FiniteFloat
    payment_share: FiniteFloat | None  # of the means; None where the welfare is not positive
    transfer_volume: FiniteFloat
    equality: FiniteFloat | None
    compliance: FiniteFloat | None
    deviation_regret: FiniteFloat | None
    run: Word  # its folder, relative
    principal_return: FiniteFloat | None = None  # before it pays; None where the principal values welfare
    acceptance: FiniteFloat | None = None  # the share of episodes in which a contract held; None where none could
    states_right: FiniteFloat | None = None  # the share in which agents do as the exact principal has them do
    followed_welfare: FiniteFloat | None = None  # of an audit, as all below: if everyone does as is recommended
    followed_payment: FiniteFloat | None = None
    followed_gain_now: FiniteFloat | None = None  # the largest of any agent, by deviating in one step
    followed_gain: FiniteFloat | None = None  # by its best policy
    spe_ratio: FiniteFloat | None = None  # values of best replies / of following, while the others follow
    ic_ratio: FiniteFloat | None = None  # ... while the others do what they learned
    learned_gain: FiniteFloat | None = None  # the largest of any agent, by its best policy against what was learned
    worst_welfare: FiniteFloat | None = None  # of the equilibria found under the mechanism
    welfare_regret_spe: FiniteFloat | None = None  # evaluated, to the subgame-perfect principal: what is missing
    payment_regret_spe: FiniteFloat | None = None  # ... what is paid more
    welfare_regret_best_rate: FiniteFloat | None = None  # the same to the best committed rates
    payment_regret_best_rate: FiniteFloat | None = None


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
    known: Word  # how we know: "read" in the paper or its code, "relayed" by another source


def read(path: Path) -> tuple[list[tuple[str, Evaluated]], list[Published], list[str]]:
    """Every row of a folder of runs or of a table with where it stands, and a sentence for each part that is damaged.

    Raises UsageError where nothing of the kind is at `path`.
    """
    if path.is_dir():
        return _read_folder(path)
    if path.is_file() and path.suffix.lower() == ".csv":
        try:
            evaluated, published = _read_table(path)
        except UsageError as error:
            return [], [], [str(error)]
        return [(str(path), row) for row in evaluated], published, []
    raise UsageError(f"{path} is neither a folder of runs nor a table (.csv)")


def of_run(folder: Path) -> Evaluated:
    """The row of a run folder. Raises UsageError for a damaged one."""
    about = read_about(folder / RUN)
    try:
        resolved = about["resolved"]
        means = read_episodes(folder, "evaluate", [*MEANS, HELD]).astype("float64")
        welfare, payment = means["welfare"].mean(), means["principal_payment"].mean()
        if not len(means):
            raise ValueError("it holds no evaluated episode")
        values = {name: _number(means[name].mean()) for name in MEANS}
        values |= _audited(read_audit(folder), Money(welfare=welfare, payment=payment), values)
        same = ("game", "game_version", "rules", "mechanism", "algorithm", "seed", "steps")
        row: dict[str, Any] = {name: resolved[name] for name in same} | values
        return Evaluated(
            **row,
            horizon=resolved["rules"]["horizon"],
            agents=len(resolved["agents"]),
            name=about["name"],
            variant=about["variant"],
            settings={key: resolved[key] for key in ("parameters", "settings", "principal", "episodes")},
            principal_steps=about["steps"].get("train", 0),
            seconds=round(sum(about["seconds"].values()), 1),
            episodes=len(means),
            payment_share=float(payment / welfare) if welfare > 0 else None,
            acceptance=_number(means[HELD].mean()),
            states_right=about["evaluated"].get("states_right"),
            run=about["run"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder} is damaged: {_told(error)}") from None


def write(rows: Iterable[Evaluated]) -> str:
    """The rows as CSV, which `read` reads again."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Evaluated.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(getattr(row, name)) for name in Evaluated.__dataclass_fields__})
    return text.getvalue()


def _read_folder(path: Path) -> tuple[list[tuple[str, Evaluated]], list[Published], list[str]]:
    folders = runs(path)
    if not folders:
        raise UsageError(f"{path} holds no finished run")
    found, damaged = [], []
    for folder in folders:
        try:
            row = of_run(folder)
            found.append((str(folder).removesuffix(row.run).rstrip("/"), row))
        except UsageError as error:
            damaged.append(str(error))
    return found, [], damaged


def _read_table(path: Path) -> tuple[list[Evaluated], list[Published]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            columns, lines = set(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    for cls in (Evaluated, Published):
        if _required(cls) <= columns <= set(cls.__dataclass_fields__):
            rows = list(_rows(path, cls, lines))
            return (rows, []) if cls is Evaluated else ([], rows)
    missing = ", ".join(sorted(_required(Evaluated) - columns)) or "none"
    raise UsageError(f"{path} is no table of ours: columns missing: {missing}")


def _required(cls: Any) -> set[str]:
    """The columns without which a table is none of ours; those that came later may be missing."""
    return {name for name, field in cls.__dataclass_fields__.items() if field.default is MISSING}


def _rows(path: Path, cls: Any, lines: list[dict[str, Any]]) -> Iterator[Any]:
    adapter = TypeAdapter(cls)
    optional = {name for name, field in cls.__dataclass_fields__.items() if "None" in str(field.type)}
    for number, line in enumerate(lines, 2):
        values = {name: None if name in optional and value == "" else value for name, value in line.items()}
        try:
            yield adapter.validate_python(values)
        except ValidationError as error:
            raise UsageError(f"{path} is damaged in line {number}: {faults(error)}") from None


def _audited(audit: Audit | None, evaluated: Money, known: dict[str, float | None]) -> dict[str, float | None]:
    """The columns of an audit; regrets are those of what was evaluated, beside which they stand."""
    if audit is None:
        return {}
    followed = audit.followed
    worst = [each.welfare for each in audit.equilibria if each.found == audit.worst]
    columns: dict[str, float | None] = {
        "followed_welfare": followed.welfare if followed else None,
        "followed_payment": followed.payment if followed else None,
        "followed_gain_now": max(followed.gain_now) if followed else None,
        "followed_gain": max(followed.gain) if followed else None,
        "spe_ratio": audit.spe_ratio,
        "ic_ratio": audit.ic_ratio,
        "learned_gain": max(audit.learned.gain),
        "worst_welfare": worst[0] if worst else None,
        "deviation_regret": audit.deviation_regret if known["deviation_regret"] is None else known["deviation_regret"],
    }
    for name, benchmark in audit.benchmarks.items():
        columns |= {f"{kind}_regret_{name}": value for kind, value in regret(evaluated, benchmark)}
    return columns


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value


def _number(value: float) -> float | None:
    return None if value != value else float(value)


def _told(error: Exception) -> str:
    return faults(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"

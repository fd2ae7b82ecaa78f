"""`paymaster tune`: as many trials for every mechanism of a suite, kept as a table beside how it was made."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ...core.config import UsageError, require
from .. import files
from ..analysis.tuning import BATCH, FIRST_SEED, PART, SCORE, Trial, best, tunable, tune
from ..provenance import command, provenance
from ..reports.text_table import columns
from ..runs.progress import show
from ..runs.run import perform
from ..runs.schedule import Event, Job, connected, run_all
from ..specs.suites import Suite, load_suite

FEWEST = 2  # trials: the suite's own settings, and something to compare them to


def tune_suite(what: str, trials: int, seeds: int, out: Path | None, workers: int | None) -> int:
    """Search for the settings of a suite, write the trials to a table, print the best, and return the exit code.

    Raises UsageError for a mistake, before anything is made.
    """
    if trials < FEWEST or seeds < 1:
        raise UsageError(
            f"a search needs --trials of {FEWEST} or more and --seeds of 1 or more (got {trials} and {seeds})"
        )
    require("optuna", "torch", "ray", "pyarrow", what="a search")
    suite, console = load_suite(what), Console(highlight=False)
    entries = tunable(suite)
    table = out or Path("results/tuning") / f"{Path(what).stem}.csv"
    if table.suffix != ".csv":
        raise UsageError(f"--out {table}: trials are written to a .csv, and how they were made to a .json beside it")
    runs = Path("runs/tuning") / Path(what).stem
    failures: list[Event] = []
    console.print(
        f"{len(entries)} mechanisms, {trials} trials of each in batches of {BATCH}, seeds from {FIRST_SEED}, "
        f"at 1/{PART} of the budget, in {runs}",
        markup=False,
        soft_wrap=True,
    )
    skipped = ", ".join(entry.name for entry in suite.runs if entry not in entries)
    if skipped:
        console.print(f"without a setting of their own that is searched for: {skipped}", markup=False, soft_wrap=True)
    found: list[Trial] = []
    with connected(workers, None, count=len(entries) * BATCH * seeds) as parallel, files.locked(runs, command()):

        def make(jobs: list[Job]) -> None:
            todo = [job for job in jobs if not (runs / job.id).exists()]
            failures.extend(show(run_all(todo, runs, perform, workers=parallel), todo, runs, console))

        for batch in tune(suite, runs, make, trials=trials, seeds=seeds):
            found.extend(batch)
            _write(table, found, suite, trials_each=trials, seeds=seeds)
    console.print(f"\n{_best(found)}\n\ntrials: {table}", markup=False, soft_wrap=True)
    return 1 if failures else 0


def _write(table: Path, trials: Sequence[Trial], suite: Suite, **asked: int) -> None:
    """Write the trials so far, and beside them how they were made."""
    chosen = {trial.entry: trial.number for trial in best(trials).values()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*Trial._fields, "best"])
    for trial in sorted(trials, key=lambda trial: (trial.entry, trial.number)):
        cells = trial._replace(values=json.dumps(trial.values, sort_keys=True))  # type: ignore[arg-type]
        writer.writerow([*cells, int(chosen[trial.entry] == trial.number)])
    about = {
        "command": command(), **asked, "first_seed": FIRST_SEED, "part_of_the_budget": 1 / PART, "score": SCORE,
        "game": suite.game, "rules": suite.rules, "steps": suite.steps, **provenance(),
    }  # fmt: skip
    table.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_file(table) as partial:
        partial.write_text(text.getvalue())
    with files.atomic_file(table.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(about, indent=1) + "\n")


def _best(trials: Sequence[Trial]) -> str:
    """A table of the best trial of each mechanism beside the suite's own settings."""
    own = {trial.entry: trial for trial in trials if trial.number == 0}
    rows = [["mechanism", SCORE, "as the suite has it", "welfare", "payment", "best settings"]]
    for name, trial in best(trials).items():
        settings = ", ".join(f"{path}={_value(value)}" for path, value in trial.values.items())
        known = [f"{value:.2f}" for value in (trial.score, own[name].score, trial.welfare, trial.payment)]
        rows.append([name, *known, "the suite's own" if trial.number == 0 else settings])
    return columns(rows)


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

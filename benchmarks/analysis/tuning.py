"""Tuning: as many trials for every mechanism of a suite, by one score, on seeds that no suite reports.

A mechanism and the role that decides for it declare where their settings are searched for (`tuned`). The first trial of
an entry is the suite's own settings. The others come from Optuna's TPE (Akiba et al. 2019), in batches of a fixed size,
so that a search which was cut goes on with the same trials. The learner is the suite's: it is equal for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...baselines import mechanism_class
from ...core.config import UsageError, configure, stored, stored_names
from ...core.search_space import Choices, Range
from ...envs import make as make_game
from ...learning import principal_class
from ..measures.columns import PAYMENT, WELFARE
from ..runs.schedule import Job, jobs
from ..specs.resolve import Resolved, resolve
from ..specs.suites import Entry, Suite, expand
from .dataset import of_run

if TYPE_CHECKING:
    from optuna import Study

FIRST_SEED = 100  # suites report seeds from 0
PART = 4  # trials have this part of the budget of the agents and of the principal
BATCH = 4  # trials of an entry that are asked for before their results are known
SCORE = "utility"  # the column by which trials are compared
PARAMETERS, PRINCIPAL = "parameters", "principal"

Make = Callable[[list[Job]], object]  # makes runs that are not made yet


class Trial(NamedTuple):
    """Settings of an entry, and what came of them in the mean over seeds and variations of the rules."""

    entry: str
    number: int  # 0 for the suite's own settings
    values: dict[str, object]  # by `parameters.NAME` or `principal.NAME`
    score: float  # nan where a run failed
    welfare: float
    payment: float
    runs: int


def space_of(suite: Suite, entry: Entry) -> dict[str, Range | Choices]:
    """Where the settings of an entry are searched for, by `parameters.NAME` or `principal.NAME`.

    What another run gives it is no setting of its own: a parameter from it, or its principal.
    """
    cls = mechanism_class(entry.mechanism)
    given = {name for name, value in entry.parameters.items() if isinstance(value, dict) and "from" in value}
    space = cls.searched(make_game(suite.game, **{**suite.rules, **suite.variations[0]}))
    found = {f"{PARAMETERS}.{name}": each for name, each in space.items() if name.partition(".")[0] not in given}
    role = principal_class(cls)
    if role is not None and not entry.principal_from:
        found |= {f"{PRINCIPAL}.{name}": each for name, each in role.tuned.items()}
    return found


def tunable(suite: Suite) -> list[Entry]:
    """The entries that have settings of their own. Raises UsageError where there are none."""
    found = [entry for entry in suite.runs if space_of(suite, entry)]
    if not found:
        raise UsageError("no run of the suite has a setting of its own that is tuned: there is nothing to search for")
    return found


def tune(suite: Suite, out: Path, make: Make, *, trials: int, seeds: int) -> Iterator[list[Trial]]:
    """Search for the settings of every entry; yields the trials of each batch when their runs, in `out`, are made.

    Each entry has `trials` trials, and each of these is made for the `seeds` from 100 on, at a quarter of the budget.
    """
    searches = [Search(suite, entry, trials) for entry in tunable(suite)]
    for first in range(0, trials, BATCH):
        asked = [each for search in searches for each in search.ask(min(BATCH, trials - first), seeds)]
        make(jobs(run.spec for _, _, _, runs in asked for run in runs))
        yield [search.tell(number, values, runs, out) for search, number, values, runs in asked]


class Search:
    """The search for the settings of one entry."""

    def __init__(self, suite: Suite, entry: Entry, trials: int) -> None:
        self.suite, self.entry, self.asked = suite, entry, 0
        self.space = space_of(suite, entry)
        self.own = _own(suite, entry, self.space)
        self.study = _study(trials)
        self.pending: dict[int, Any] = {}

    def ask(self, count: int, seeds: int) -> list[tuple[Search, int, dict[str, object], list[Resolved]]]:
        """The next trials: their numbers, their values and their runs. The first one is of the suite's own values."""
        found = []
        for _ in range(count):
            number, values = self.asked, self.own
            if number:
                self.pending[number] = self.study.ask(_distributions(self.space))
                values = {path: _rounded(value) for path, value in self.pending[number].params.items()}
            self.asked += 1
            found.append((self, number, values, _runs(self.suite, self.entry, values, seeds)))
        return found

    def tell(self, number: int, values: dict[str, object], runs: list[Resolved], out: Path) -> Trial:
        """What came of a trial, which the search learns from."""
        from optuna.trial import TrialState, create_trial

        rows = [of_run(out / run.folder) for run in runs if (out / run.folder).exists()]
        whole = len(rows) == len(runs)
        score, welfare, payment = (
            float(np.mean([row[name] for row in rows])) if whole else float("nan") for name in (SCORE, WELFARE, PAYMENT)
        )
        if number and whole:
            self.study.tell(self.pending[number], score)
        elif number:
            self.study.tell(self.pending[number], state=TrialState.FAIL)
        elif whole and _within(values, self.space):
            kinds = _distributions(self.space)
            self.study.add_trial(create_trial(params=dict(values), distributions=kinds, value=score))
        return Trial(self.entry.name, number, values, score, welfare, payment, len(rows))


def best(trials: Sequence[Trial]) -> dict[str, Trial]:
    """The best trial of each entry; the suite's own settings where nothing is better."""
    found: dict[str, Trial] = {}
    for trial in trials:
        known = found.setdefault(trial.entry, trial)
        if trial.score > known.score or known.score != known.score:
            found[trial.entry] = trial
    return found


def changed(entry: Entry, values: Mapping[str, object]) -> Entry:
    """The entry with other values of its settings."""
    cls = mechanism_class(entry.mechanism)
    role = principal_class(cls)
    parts = {
        PARAMETERS: stored(cls, entry.parameters),
        PRINCIPAL: stored(role, entry.principal) if role else dict(entry.principal),
    }
    for path, value in values.items():
        part, name, *within = path.split(".")
        known = parts[part].get(name)
        parts[part][name] = {**(known if isinstance(known, dict) else {}), within[0]: value} if within else value
    return entry.model_copy(update=parts)


def _runs(suite: Suite, entry: Entry, values: Mapping[str, object], seeds: int) -> list[Resolved]:
    """The runs of a trial: those of one entry of the suite at a part of its budget, with other values."""
    entries = tuple(_shorter(suite, changed(each, values) if each is entry else each) for each in suite.runs)
    short = suite.model_copy(update={"runs": entries, "steps": max(1, suite.steps // PART)})
    at = [each.name for each in entries].index(entry.name)
    specs = expand(short, seeds=seeds, first=FIRST_SEED)
    known: dict[str, Resolved] = {}
    return [resolve(spec, known) for spec in specs[at :: len(entries)]]


def _shorter(suite: Suite, entry: Entry) -> Entry:
    """The entry with a part of its own steps, and a principal that learns in a part of its steps."""
    if entry.steps is not None:
        entry = entry.model_copy(update={"steps": max(1, entry.steps // PART)})
    role = principal_class(mechanism_class(entry.mechanism))
    if role is None or entry.principal_from or "steps" not in stored_names(role):
        return entry
    settings = configure(role, suite.principal_of(entry), what="the principal")
    return entry.model_copy(update={"principal": {**entry.principal, "steps": max(1, settings.steps // PART)}})  # type: ignore[attr-defined]


def _own(suite: Suite, entry: Entry, space: Mapping[str, Range | Choices]) -> dict[str, object]:
    """The suite's own values of the settings in the `space`, defaults included."""
    spec = expand(suite, seeds=1, first=FIRST_SEED)[[each.name for each in suite.runs].index(entry.name)]
    values = resolve(spec).values
    own: dict[str, object] = {}
    for path in space:
        found: object = values
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if found is not None:
            own[path] = found
    return own


def _study(trials: int) -> Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=max(1, trials // 2))
    return optuna.create_study(direction="maximize", sampler=sampler)


def _distributions(space: Mapping[str, Range | Choices]) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    return {
        path: FloatDistribution(each.low, each.high, log=each.log)
        if isinstance(each, Range)
        else CategoricalDistribution(each)
        for path, each in space.items()
    }


def _rounded(value: object) -> object:
    """Three digits of a number: more of them tell nothing, and stand in names."""
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _within(values: Mapping[str, object], space: Mapping[str, Range | Choices]) -> bool:
    """Whether the values could have been drawn from the space."""
    return values.keys() == space.keys() and all(
        isinstance(value := values[path], int | float) and each.low <= value <= each.high
        if isinstance(each, Range)
        else values[path] in each
        for path, each in space.items()
    )

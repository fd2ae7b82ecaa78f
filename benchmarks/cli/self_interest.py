"""`paymaster self-interest`: estimates a game's self-interest level by learning, and keeps the result."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from ...core.config import UsageError, stored_names
from ...envs.matrix_games import StageGame
from ...equilibria.normal_form.transfer_levels import least_transfers, symmetric_level
from ...learning import algorithm_class
from .. import files
from ..analysis.empirical_game import empirical_payoffs
from ..analysis.self_interest import COOPERATES, RATIOS, TOLERANCE, Found, Trial, Welfare, search
from ..measures.statistics import ENOUGH, estimate
from ..provenance import command, provenance
from ..reports.self_interest import PICTURE, RECORD, draw, lines
from ..runs.load import load
from ..runs.progress import show
from ..runs.run import perform, result
from ..runs.schedule import connected, jobs, run_all
from ..specs.overrides import override, parse_settings
from ..specs.resolve import Resolved, resolve
from ..specs.run_names import digest
from ..specs.spec import DEFAULT_STEPS, RunSpec

MECHANISM, LEVEL = "symmetric-transfer", "self_interest"
FEWEST = ENOUGH  # seeds: fewer give no verdict on whether there is a dilemma
MOST = 6  # agents in a game whose empirical game is evaluated, which takes 2 ** N evaluations


class Question(NamedTuple):
    """The question of a search: everything on which its answer depends."""

    game: str
    algorithm: str
    seeds: int
    first_seed: int
    settings: Sequence[str]  # key=value pairs of --set


class RunsFailedError(Exception):
    """Some runs of a level failed; the message holds their errors."""


def search_and_tell(question: Question, out: Path, *, workers: int | None, as_json: bool) -> int:
    """Search, or read the result of an earlier identical search, print it, and return the exit code.

    The runs of each level are those of `paymaster run`: a finished run in `out` is never made again. Raises UsageError
    before anything is written.
    """
    base = _base(question, out)
    folder = out / _folder(base, question)
    if not folder.exists():
        try:
            _search(base, question, out, folder, workers)
        except RunsFailedError as failed:
            print(f"paymaster: {failed}", file=sys.stderr)
            return 1
    record = json.loads((folder / RECORD).read_text())
    print(json.dumps(record, indent=1) if as_json else "\n".join(lines(record, folder)))
    return 0


class Levels:
    """Makes the runs of the levels in `out`, one for each level and seed; `search` calls `play`."""

    def __init__(self, base: RunSpec, seeds: Sequence[int], out: Path, workers: int, console: Console) -> None:
        self.base, self.seeds, self.out, self.workers, self.console = base, seeds, out, workers, console
        self.before: list[RunSpec] = []  # the runs whose agents the next warm start takes

    def play(self, level: float, *, fresh: bool) -> Welfare:
        """Make the runs of a level and return the welfare of each seed. Raises RunsFailedError where one fails."""
        specs = self.specs(level) if fresh else self._warm_started(level)
        if not fresh or level == 1.0:
            self.before = specs
        wanted = [job for job in jobs(specs) if not (self.out / job.id).exists()]
        how = "fresh agents" if fresh else "agents warm-started from the level before"
        self.console.print(f"s = {level:g}: {how}", markup=False)
        failures = show(run_all(wanted, self.out, perform, workers=self.workers), wanted, self.out, self.console)
        if failures:
            errors = "; ".join(f"{event.job.name} failed: {event.error}" for event in failures)
            raise RunsFailedError(f"{errors}; the runs that finished stay in {self.out}")
        return {spec.seed: result(self.folder(spec)).welfare for spec in specs}

    def specs(self, level: float) -> list[RunSpec]:
        """The specs of the runs with fresh agents at a level."""
        return [self.base.model_copy(update={"parameters": {LEVEL: level}, "seed": seed}) for seed in self.seeds]

    def folder(self, spec: RunSpec) -> Path:
        return self.out / resolve(spec).folder

    def _warm_started(self, level: float) -> list[RunSpec]:
        return [
            fresh.model_copy(update={"agents_from": before})
            for fresh, before in zip(self.specs(level), self.before, strict=True)
        ]


def _base(question: Question, out: Path) -> Resolved:
    """The run that all runs of the search share. Raises UsageError for a mistake in the question or the folder."""
    if question.seeds < FEWEST or question.first_seed < 0:
        raise UsageError(
            f"the search needs --seeds of {FEWEST} or more and --seed of 0 or more "
            f"(got {question.seeds} and {question.first_seed})"
        )
    settings = parse_settings(question.settings)
    if LEVEL in settings or f"mechanism.{LEVEL}" in settings:
        raise UsageError(f"{LEVEL} is what is searched for: leave it out, or set it in `paymaster run`")
    role = algorithm_class(question.algorithm)
    if not role.continues:
        raise UsageError(
            f"in the search agents go on from those of the level before, and those of {question.algorithm} cannot: "
            "choose one of dqn, ppo, a2c, or let the role take `task.begin` and say `continues = True`"
        )
    shares = "policies" in stored_names(role)
    spec = RunSpec(
        game=question.game, mechanism=MECHANISM, algorithm=question.algorithm,
        settings={"policies": "separate"} if shares else {}, steps=DEFAULT_STEPS,
    )  # fmt: skip
    base = resolve(override([spec], settings)[0])
    files.check(out)
    return base


def _folder(base: Resolved, question: Question) -> Path:
    values = [base.variant, question.first_seed, question.seeds, RATIOS, COOPERATES, TOLERANCE]
    return Path(base.spec.game.replace("/", "__")) / "self-interest" / f"{base.spec.algorithm}-{digest(values)}"


def _search(resolved: Resolved, question: Question, out: Path, folder: Path, workers: int | None) -> None:
    seeds = range(question.first_seed, question.first_seed + question.seeds)
    console, started = Console(stderr=True, highlight=False), provenance()
    with (
        connected(workers, None, count=len(seeds), each=resolved.resources.cores) as parallel,
        files.locked(out, command()),
    ):
        levels = Levels(resolved.spec, seeds, out, parallel, console)
        found = search(levels.play, len(resolved.game.agents))
        empirical = _empirical(resolved, levels, found.joint.level)
    record = {
        **_asked(resolved, seeds),
        **_answer(found),
        "closed_form": _known(symmetric_level(resolved.game.payoffs)) if isinstance(resolved.game, StageGame) else None,
        "empirical": empirical,
        "command": command(),
        **started,
    }
    with files.atomic_dir(folder) as partial:
        (partial / RECORD).write_text(json.dumps(record, indent=1) + "\n")
        draw(record, partial / PICTURE)


def _asked(resolved: Resolved, seeds: Sequence[int]) -> dict[str, object]:
    names = ("game", "game_version", "rules", "algorithm", "settings", "steps", "episodes")
    return {name: resolved.values[name] for name in names} | {"seeds": list(seeds)}


def _answer(found: Found) -> dict[str, object]:
    """The result of the search as JSON-ready values; unknown values are null."""
    needed = found.selfish.mean + COOPERATES * (found.joint.mean - found.selfish.mean)
    return {
        "criterion": {"share": COOPERATES, "welfare": needed, "tolerance": TOLERANCE},
        "level": _known(found.level),
        "above": _known(found.above),
        "trials": [_trial(found, trial) for trial in found.trials],
    }


def _trial(found: Found, trial: Trial) -> dict[str, object]:
    means, way = estimate(np.array([*trial.welfare.values()])), found.way(trial)
    return {
        "level": trial.level, "fresh": trial.fresh, "welfare": means.mean, "low": _known(means.low),
        "high": _known(means.high), "by_seed": trial.welfare, "way": _known(way), "cooperates": bool(way >= COOPERATES),
    }  # fmt: skip


def _empirical(resolved: Resolved, levels: Levels, joint: float) -> dict[str, object] | None:
    """The normal-form game in which each agent is selfish or from the `joint` level, averaged over seeds."""
    if len(resolved.game.agents) > MOST:
        return None
    levels.console.print("every mix of joint and selfish agents", markup=False)
    payoffs = [
        empirical_payoffs(
            resolved.game, *(load(levels.folder(spec)).policy for spec in pair),
            seed=pair[0].seed, episodes=pair[0].episodes,
        )
        for pair in zip(levels.specs(joint), levels.specs(1.0), strict=True)
    ]  # fmt: skip
    return _normal_form(np.mean(payoffs, axis=0))


def _normal_form(payoffs: np.ndarray) -> dict[str, object]:
    """s*, g* and T* of a game with two actions; null where one does not exist."""
    matrix, kept = least_transfers(payoffs)
    return {
        "payoffs": payoffs.tolist(),
        "level": _known(symmetric_level(payoffs)),
        "kept": _known(kept),
        "matrix": None if np.isnan(kept) else matrix.round(7).tolist(),
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

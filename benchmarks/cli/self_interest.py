"""`paymaster self-interest`: searches for a game's self-interest level by learning, and keeps what it finds."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from ...core.config import UsageError
from ...envs.matrix_games import StageGame
from ...equilibria.transfer_levels import least_transfers, symmetric_level
from .. import files
from ..analysis.empirical_game import empirical_payoffs
from ..analysis.self_interest import COOPERATES, RATIOS, TOLERANCE, Found, Trial, Welfare, search
from ..measures.statistics import estimate
from ..provenance import command, provenance
from ..reports.self_interest import PICTURE, RECORD, draw, lines
from ..runs.load import load
from ..runs.progress import show
from ..runs.run import perform, result
from ..runs.schedule import connected, jobs, run_all
from ..specs.overrides import override, parse_settings
from ..specs.resolve import Resolved, digest, resolve, resources_of
from ..specs.spec import DEFAULT_STEPS, RunSpec

MECHANISM, LEVEL = "symmetric-transfer", "self_interest"
FEWEST = 2  # seeds: with one there is no telling what learning comes to
MOST = 6  # agents whose every mix of cooperating and defecting is played: 2 ** N evaluations


class Request(NamedTuple):
    """What the command line asks for; None is left open."""

    game: str
    algorithm: str
    seeds: int
    seed: int
    workers: int | None
    out: Path
    settings: list[str]
    as_json: bool


class RunsFailedError(Exception):
    """Runs of a level that failed, each with its error."""


def search_and_tell(request: Request) -> int:
    """Search, or find the search already made, and print what it came to; the exit code.

    The runs of every level are those of `paymaster run`: what is finished is never made again. Raises UsageError before
    anything is written.
    """
    base = _base(request)
    folder = request.out / _folder(base, request)
    if not folder.exists():
        try:
            _search(base, request, folder)
        except RunsFailedError as failed:
            print(f"paymaster: {failed}", file=sys.stderr)
            return 1
    record = json.loads((folder / RECORD).read_text())
    print(json.dumps(record, indent=1) if request.as_json else "\n".join(lines(record, folder)))
    return 0


class Levels:
    """Makes the runs of a level, one for each seed, in `out`; `play` is what `search` asks for."""

    def __init__(self, base: RunSpec, seeds: Sequence[int], out: Path, workers: int, console: Console) -> None:
        self.base, self.seeds, self.out, self.workers, self.console = base, seeds, out, workers, console
        self.before: list[RunSpec] = []  # the level that agents go on from

    def play(self, level: float, fresh: bool) -> Welfare:
        specs = self.specs(level) if fresh else self._going_on(level)
        if not fresh or level == 1.0:
            self.before = specs
        wanted = [job for job in jobs(specs) if not (self.out / job.id).exists()]
        how = "fresh agents" if fresh else "agents that go on from the level before"
        self.console.print(f"s = {level:g}: {how}", markup=False)
        failures = show(run_all(wanted, self.out, perform, workers=self.workers), wanted, self.out, self.console)
        if failures:
            told = "; ".join(f"{event.job.name} failed: {event.error.splitlines()[-1]}" for event in failures)
            raise RunsFailedError(f"{told}; the runs that finished stay in {self.out}")
        return {spec.seed: result(self.folder(spec)).welfare for spec in specs}

    def specs(self, level: float) -> list[RunSpec]:
        """The runs of fresh agents at a level."""
        return [self.base.model_copy(update={"parameters": {LEVEL: level}, "seed": seed}) for seed in self.seeds]

    def folder(self, spec: RunSpec) -> Path:
        return self.out / resolve(spec).folder

    def _going_on(self, level: float) -> list[RunSpec]:
        return [
            fresh.model_copy(update={"agents_from": before})
            for fresh, before in zip(self.specs(level), self.before, strict=True)
        ]


def _base(request: Request) -> RunSpec:
    """What all runs of the search share. Raises UsageError for what does not hold."""
    if request.seeds < FEWEST or request.seed < 0:
        raise UsageError(
            f"the search needs --seeds of {FEWEST} or more and --seed of 0 or more "
            f"(got {request.seeds} and {request.seed})"
        )
    settings = parse_settings(request.settings)
    if LEVEL in settings or f"mechanism.{LEVEL}" in settings:
        raise UsageError(f"{LEVEL} is what is searched for: leave it out, or set it in `paymaster run`")
    spec = RunSpec(
        game=request.game, mechanism=MECHANISM, algorithm=request.algorithm,
        settings={"policies": "separate"}, steps=DEFAULT_STEPS,
    )  # fmt: skip
    base = override([spec], settings)[0]
    resolve(base)
    files.check(request.out)
    return base


def _folder(base: RunSpec, request: Request) -> Path:
    values = [resolve(base).variant, request.seed, request.seeds, RATIOS, COOPERATES, TOLERANCE]
    return Path(base.game.replace("/", "__")) / "self-interest" / f"{base.algorithm}-{digest(values)}"


def _search(base: RunSpec, request: Request, folder: Path) -> None:
    resolved, seeds = resolve(base), range(request.seed, request.seed + request.seeds)
    console, started = Console(stderr=True, highlight=False), provenance()
    with (
        connected(request.workers, None, count=len(seeds), each=resources_of(base).cores) as workers,
        files.claimed(request.out, command()),
    ):
        levels = Levels(base, seeds, request.out, workers, console)
        found = search(levels.play, len(resolved.game.agents))
        empirical = _empirical(resolved, levels, found.joint.level)
    record = {
        **_asked(resolved, seeds),
        **_told(found),
        "closed_form": _known(symmetric_level(resolved.game.payoffs)) if isinstance(resolved.game, StageGame) else None,
        "empirical": empirical,
        "command": command(),
        **started,
    }
    with files.whole(folder) as partial:
        (partial / RECORD).write_text(json.dumps(record, indent=1) + "\n")
        draw(record, partial / PICTURE)


def _asked(resolved: Resolved, seeds: Sequence[int]) -> dict[str, Any]:
    names = ("game", "game_version", "rules", "algorithm", "settings", "steps", "episodes")
    return {name: resolved.values[name] for name in names} | {"seeds": list(seeds)}


def _told(found: Found) -> dict[str, Any]:
    """What the search came to, JSON-ready; what is not known is null."""
    needed = found.selfish.mean + COOPERATES * (found.joint.mean - found.selfish.mean)
    return {
        "criterion": {"share": COOPERATES, "welfare": needed, "tolerance": TOLERANCE},
        "level": _known(found.level),
        "above": _known(found.above),
        "trials": [_trial(found, trial) for trial in found.trials],
    }


def _trial(found: Found, trial: Trial) -> dict[str, Any]:
    means, way = estimate(np.array([*trial.welfare.values()])), found.way(trial)
    return {
        "level": trial.level, "fresh": trial.fresh, "welfare": means.mean, "low": _known(means.low),
        "high": _known(means.high), "by_seed": trial.welfare, "way": _known(way), "cooperates": bool(way >= COOPERATES),
    }  # fmt: skip


def _empirical(resolved: Resolved, levels: Levels, joint: float) -> dict[str, Any] | None:
    """The normal-form game of agents from the `joint` level and selfish ones, its mean over seeds."""
    if len(resolved.game.agents) > MOST:
        return None
    levels.console.print("every mix of agents of the joint level and selfish ones", markup=False)
    payoffs = [
        empirical_payoffs(
            resolved.game, *(load(levels.folder(spec)).policy for spec in pair),
            seed=pair[0].seed, episodes=pair[0].episodes,
        )
        for pair in zip(levels.specs(joint), levels.specs(1.0), strict=True)
    ]  # fmt: skip
    return _normal_form(np.mean(payoffs, axis=0))


def _normal_form(payoffs: np.ndarray) -> dict[str, Any]:
    """s*, g* and T* of a game of two actions; null where there is none."""
    matrix, kept = least_transfers(payoffs)
    return {
        "payoffs": payoffs.tolist(),
        "level": _known(symmetric_level(payoffs)),
        "kept": _known(kept),
        "matrix": None if np.isnan(kept) else matrix.round(7).tolist(),
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

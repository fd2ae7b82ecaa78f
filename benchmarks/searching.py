"""`paymaster self-interest`: searches for a game's self-interest level by learning, and tells, draws and keeps it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from ..contracts.reward_transfer import least_transfers, symmetric_level
from ..envs.config import UsageError
from ..envs.matrix_games import StageGame
from . import folders
from .curves import COLOURS
from .empirical import empirical_payoffs
from .overrides import override, parse_settings
from .plaintext import columns
from .progress import show
from .provenance import command, provenance
from .run import load, perform, result
from .schedule import connected, jobs, run_all
from .self_interest import COOPERATES, RATIOS, TOLERANCE, Found, Trial, Welfare, search
from .spec import DEFAULT_STEPS, Resolved, RunSpec, digest, resolve, resources_of
from .statistics import estimate

RECORD, PICTURE = "self-interest.json", "self-interest.png"
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
    print(json.dumps(record, indent=1) if request.as_json else "\n".join(_lines(record, folder)))
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
    folders.check(request.out)
    return base


def _folder(base: RunSpec, request: Request) -> Path:
    values = [resolve(base).variant, request.seed, request.seeds, RATIOS, COOPERATES, TOLERANCE]
    return Path(base.game.replace("/", "__")) / "self-interest" / f"{base.algorithm}-{digest(values)}"


def _search(base: RunSpec, request: Request, folder: Path) -> None:
    resolved, seeds = resolve(base), range(request.seed, request.seed + request.seeds)
    console, started = Console(stderr=True, highlight=False), provenance()
    with (
        connected(request.workers, None, count=len(seeds), each=resources_of(base).cores) as workers,
        folders.claimed(request.out, command()),
    ):
        levels = Levels(base, seeds, request.out, workers, console)
        found = search(levels.play, len(resolved.game.agents))
        empirical = _empirical(resolved, levels, found.joint.level)
    record = {
        **_asked(resolved, seeds),
        **_told(found),
        "closed_form": _normal_form(resolved.game.payoffs) if isinstance(resolved.game, StageGame) else None,
        "empirical": empirical,
        "command": command(),
        **started,
    }
    with folders.whole(folder) as partial:
        (partial / RECORD).write_text(json.dumps(record, indent=1) + "\n")
        _draw(record, partial / PICTURE)


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


def _lines(record: dict[str, Any], folder: Path) -> Iterator[str]:
    criterion, seeds = record["criterion"], record["seeds"]
    yield (
        f"{record['game']}: {record['algorithm']}, {record['steps']:,} steps a level, seeds {seeds[0]} to {seeds[-1]}. "
        f"Agents cooperate where their mean welfare is {criterion['welfare']:.2f} or more, "
        f"{criterion['share']:.0%} of the way from that of selfish agents to that of agents who want the same.\n"
    )
    yield columns([["self-interest", "agents", "welfare", "of the way", "cooperate"], *map(_row, _ordered(record))])
    yield ""
    yield _level(record)
    yield from _normal_forms(record)
    yield f"\nrecord:  {folder / RECORD}\npicture: {folder / PICTURE}"


def _ordered(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The trials from the highest level to the lowest, fresh agents first."""
    return sorted(record["trials"], key=lambda trial: (-trial["level"], not trial["fresh"]))


def _row(trial: dict[str, Any]) -> list[str]:
    way = "" if trial["way"] is None else f"{trial['way']:.0%}"
    return [
        f"{trial['level']:.4g}",
        "fresh" if trial["fresh"] else "go on from the level before",
        f"{trial['welfare']:.2f} [{trial['low']:.2f}, {trial['high']:.2f}]",
        way,
        "yes" if trial["cooperates"] else "no",
    ]


def _level(record: dict[str, Any]) -> str:
    if record["level"] is None:
        return (
            "No dilemma is to be seen: agents who want the same do no better than selfish ones, as far as these seeds "
            "tell. Either selfish agents cooperate, or more steps are needed."
        )
    low, high = record["level"], record["above"]
    return f"s* = {low:.4g}: fresh agents cooperate at {low:.4g}, and at {high:.4g} they do not"


def _normal_forms(record: dict[str, Any]) -> Iterator[str]:
    """What the normal forms say of the game, where there are any."""
    if record["closed_form"] is not None:
        yield f"by the payoffs of one step: {_solved(record['closed_form'])}"
    found = record["empirical"]
    if found is None:
        yield f"no mixes of cooperating and defecting agents were played, since there are more than {MOST} agents"
        return
    yield f"by what every mix of agents of the two ends earned: {_solved(found)}"
    if found["matrix"] is not None:
        rows = ", ".join(f"[{', '.join(f'{part:.7g}' for part in row)}]" for row in found["matrix"])
        yield f"T* of those: paymaster run {record['game']} --mechanism transfer-matrix --set 'matrix=[{rows}]'"


def _solved(found: dict[str, Any]) -> str:
    level, kept = ("none" if value is None else f"{value:.4g}" for value in (found["level"], found["kept"]))
    return f"s* = {level}, g* = {kept}"


def _draw(record: dict[str, Any], out: Path) -> None:
    """Welfare against the level, with intervals over seeds; where s* lies, and what is needed to cooperate."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axis, criterion = figure.subplots(), record["criterion"]
    series = {"fresh agents": (True, COLOURS[0], "o-"), "agents that go on": (False, COLOURS[1], "s--")}
    for label, (fresh, colour, style) in series.items():
        trials = [trial for trial in _ordered(record) if trial["fresh"] == fresh]
        means = [trial["welfare"] for trial in trials]
        bars = [[t["welfare"] - t["low"] for t in trials], [t["high"] - t["welfare"] for t in trials]]
        axis.errorbar(
            [t["level"] for t in trials], means, yerr=bars, fmt=style, color=colour, markersize=5, linewidth=1.2,
            label=label,
        )  # fmt: skip
    axis.axhline(criterion["welfare"], color="0.5", linewidth=0.8, zorder=0)
    axis.annotate(
        f"{criterion['share']:.0%} of the way", (0, criterion["welfare"]), (4, 3),
        xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8, color="0.35",
    )  # fmt: skip
    if record["level"] is not None:
        axis.axvspan(record["level"], record["above"], color="0.85", zorder=0, label="s* lies here")
    if record["closed_form"] and record["closed_form"]["level"] is not None:
        axis.axvline(record["closed_form"]["level"], color="0.35", linewidth=0.8, linestyle=":", label="closed form")
    axis.set_title(f"{record['game']}: what agents make of what they keep", loc="left", fontsize=11)
    axis.set_xlabel("self-interest s, the part of its reward that every agent keeps")
    axis.set_ylabel("welfare of an episode")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=9, frameon=False)
    figure.savefig(out, format="png", dpi=120)

"""One run, from its spec to its folder."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...contracts.episodes import Episodes
from ...contracts.mechanism import Mechanism
from ...core.config import UsageError
from .. import files
from ..measures.audit import Exam, examine, write_audit
from ..measures.exact_solutions import affordable
from ..provenance import command, provenance
from ..specs.overrides import override
from ..specs.plugins import plugins
from ..specs.resolve import (
    Resolved,
    algorithm_settings,
    explicit,
    parameters_of,
    principal_settings,
    resolve,
    resources_of,
)
from ..specs.spec import DEFAULT_STEPS, RunSpec
from .load import POLICY, PRINCIPAL, given_mechanism, in_favour_of, load, load_principal
from .record import Record, read_about, read_episodes, write_about
from .replay import Replay, play, save_replay

if TYPE_CHECKING:
    pass

RECENT = 500  # episodes over which progress tells welfare and payment so far


class Progress(NamedTuple):
    """Where a run is."""

    phase: str
    steps: int  # environment steps of the phase
    total: int
    welfare: float  # mean of the last episodes; nan before the first
    payment: float


class Result(NamedTuple):
    """A finished run."""

    folder: Path
    about: dict[str, Any]  # run.json
    welfare: float  # means over the evaluated episodes
    payment: float
    compliance: float  # nan where nothing is recommended


def run(
    game: str, *, mechanism: str = "selfish", algorithm: str = "dqn", seed: int = 0, steps: int = DEFAULT_STEPS,
    out: str | Path = "runs/single", **settings: Any,
) -> Result:  # fmt: skip
    """Make one run, or find it already made.

    `settings` are keys as `--set` takes them: rules of the game, parameters of the mechanism, settings of the
    algorithm or of the principal's training. Raises UsageError for anything unknown or out of range.
    """
    spec = RunSpec(game=game, mechanism=mechanism, algorithm=algorithm, seed=seed, steps=steps)
    resolved = resolve(override([spec], settings)[0])
    with files.claimed(Path(out), command()):
        for _ in perform(resolved.spec, Path(out)):
            pass
    return result(Path(out) / resolved.folder)


def perform(spec: RunSpec, out: Path) -> Iterator[Progress]:
    """Make a run whose dependencies have finished in `out`, telling its progress; at the end its folder is there.

    A finished run is not made again. What was cut starts anew from its seed and gives the same episodes.
    """
    import torch

    from ..measures.states_right import states_right

    resolved = resolve(spec)
    folder = out / resolved.folder
    if folder.exists():
        return
    torch.set_num_threads(1)  # sums in another order would give other episodes; and small networks gain nothing
    started, mechanism = provenance(), given_mechanism(resolved, out)
    record = Record(resolved, mechanism.recorded, in_favour_of(resolved, out))
    principal = yield from _principal(resolved, mechanism, out, record)
    policy = yield from _agents(resolved, mechanism, principal, out, record)
    evaluated = yield from _evaluated(resolved, mechanism, principal, policy, record)
    exam = _exam(resolved, mechanism, principal, policy, evaluated)
    if exam is not None:
        record.deviation_regret["evaluate"] = exam.regrets
    with files.whole(folder) as partial:
        record.save(partial)
        policy.save(partial / POLICY)
        if spec.principal_from is None and principal is not None:
            principal.save(partial / PRINCIPAL)
        if exam is not None:
            write_audit(partial, exam.audit)
        save_replay(partial, _replay(resolved, mechanism, principal, policy))
        right = states_right(resolved.game, mechanism, principal, policy)
        write_about(partial, _about(resolved, mechanism, record, started, evaluated, right))


def result(folder: Path) -> Result:
    """What a finished run came to."""
    evaluated = read_episodes(folder, "evaluate", ["welfare", "principal_payment", "compliance"])
    return Result(folder, read_about(folder / files.RUN), *(float(value) for value in evaluated.mean()))


def _principal(resolved: Resolved, mechanism: Mechanism, out: Path, record: Record) -> Generator[Progress, None, Any]:
    from ...learning import phases

    if not mechanism.principal:
        return None
    if resolved.spec.principal_from is not None:
        return load_principal(resolved, out)
    settings = principal_settings(resolved.spec)
    return (
        yield from _phase(
            "train",
            phases.train_principal(
                resolved.game,
                settings,
                seed=resolved.spec.seed,
                resources=resources_of(resolved.spec),
                mechanism=mechanism,
            ),
            record,
        )
    )


def _agents(
    resolved: Resolved, mechanism: Mechanism, principal: Any, out: Path, record: Record
) -> Generator[Progress, None, Any]:
    from ...learning import phases

    spec = resolved.spec
    phase = phases.train_agents(
        resolved.game, mechanism, principal, algorithm_settings(spec),
        seed=spec.seed, steps=spec.steps, resources=resources_of(spec),
        begin=load(out / resolve(spec.agents_from).folder).policy if spec.agents_from else None,
    )  # fmt: skip
    return (yield from _phase("validate", phase, record))


def _phase(name: str, phase: Any, record: Record) -> Generator[Progress, None, Any]:
    """Iterate over a phase to its end and return its result."""
    began, recent = time.perf_counter(), None
    with phase:
        for update in phase:
            record.add(name, update.steps, update.episodes, update.training)
            recent = _recent(recent, update.episodes)
            yield Progress(name, update.steps, update.total, *_means(recent))
        learned = phase.result()
    record.seconds[name] = time.perf_counter() - began
    return learned


def _evaluated(
    resolved: Resolved, mechanism: Mechanism, principal: Any, policy: Any, record: Record
) -> Generator[Progress, None, Episodes]:
    from ...learning import phases

    began, spec = time.perf_counter(), resolved.spec
    episodes = phases.evaluate(resolved.game, mechanism, principal, policy, seed=spec.seed, episodes=spec.episodes)
    total = int(episodes.length.sum())
    record.add("evaluate", total, episodes, {})
    record.seconds["evaluate"] = time.perf_counter() - began
    yield Progress("evaluate", total, total, *_means(episodes))
    return episodes


def _exam(resolved: Resolved, mechanism: Mechanism, principal: Any, policy: Any, episodes: Episodes) -> Exam | None:
    """The run's audit, where its game is small enough and its mechanism can be judged exactly."""
    if not affordable(resolved.game):
        return None
    try:
        return examine(resolved, mechanism, principal, policy, episodes.key)
    except UsageError:
        return None


def _replay(resolved: Resolved, mechanism: Mechanism, principal: Any, policy: Any) -> Replay:
    from ...learning import phases

    return play(resolved.game, mechanism, principal, policy, seed=resolved.spec.seed, stream=phases.EVALUATE)


def _about(
    resolved: Resolved, mechanism: Mechanism, record: Record, started: dict[str, Any], episodes: Episodes,
    right: float | None,
) -> Any:  # fmt: skip
    return {
        "run": resolved.folder,
        "finished": True,
        "name": resolved.name,
        "variant": resolved.variant,
        "spec": explicit(resolved.spec).model_dump(mode="json", by_alias=True),
        "resolved": {**resolved.values, "given": parameters_of(mechanism), "agents": list(resolved.game.agents)},
        "plugins": plugins(resolved.spec),
        "steps": record.steps,
        "seconds": {phase: round(seconds, 2) for phase, seconds in record.seconds.items()},
        "evaluated": {
            "welfare": float(episodes.returns.sum(axis=1).mean()),
            "payment": float(episodes.payments.sum(axis=1).mean()),
            "states_right": right,
        },
        **started,
    }


def _recent(recent: Episodes | None, new: Episodes | None) -> Episodes | None:
    """The last episodes, those of the newest update at least."""
    if new is None or recent is None or len(new) >= RECENT:
        return recent if new is None else new
    return (recent + new).select(slice(-RECENT, None))


def _means(episodes: Episodes | None) -> tuple[float, float]:
    """Mean welfare and payment."""
    if episodes is None:
        return float("nan"), float("nan")
    return float(episodes.returns.sum(axis=1).mean()), float(episodes.payments.sum(axis=1).mean())

"""One run, from its spec to its folder."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from ...contracts.episodes import Episodes
from ...core.checkpoint import Saved
from ...core.config import UsageError, require
from ...learning.role import EVALUATE, TRAIN, VALIDATE
from .. import files
from ..measures.audit import Exam, examine, write_audit
from ..measures.exact_solutions import is_cheap
from ..provenance import command, provenance
from ..specs.overrides import override
from ..specs.plugins import plugins
from ..specs.resolve import Resolved, explicit, parameters_of, resolve
from ..specs.spec import DEFAULT_STEPS, RunSpec
from .load import POLICY, PRINCIPAL, finished, given_mechanism, in_favour_of, load_run, taken_principal
from .record import Record, read_about, read_episodes, write_about
from .replay import Replay, play, save_replay

if TYPE_CHECKING:
    from ...learning.phases import Learning

T = TypeVar("T")
RECENT = 500  # the number of last episodes over which progress reports welfare and payment


class Progress(NamedTuple):
    """The progress of a run."""

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
    compliance: float  # nan where no action is recommended


def run(
    game: str, *, mechanism: str = "selfish", algorithm: str = "dqn", seed: int = 0, steps: int = DEFAULT_STEPS,
    out: str | Path = "runs/single", **settings: object,
) -> Result:  # fmt: skip
    """Make one run, unless it is already made, and return its result.

    `settings` takes the keys of `--set`: rules of the game, parameters of the mechanism, settings of the algorithm or
    of the principal's training. Raises UsageError for an unknown name or a value out of range.
    """
    spec = RunSpec(game=game, mechanism=mechanism, algorithm=algorithm, seed=seed, steps=steps)
    resolved = resolve(override([spec], settings)[0])
    with files.locked(Path(out), command()):
        for _ in perform(resolved, Path(out)):
            pass
    return result(Path(out) / resolved.folder)


def perform(run: Resolved, out: Path) -> Iterator[Progress]:
    """Make a run whose sources are finished in `out`, and yield its progress. Its folder appears at the end.

    A finished run is not made again. An interrupted run starts again from its seed and gives the same episodes.
    """
    if (out / run.folder).exists():
        return
    require("torch", "ray", what="a run")
    import torch

    torch.set_num_threads(1)  # another order of sums gives other episodes, and small networks gain no speed
    running = RunInProgress(run, out)
    yield from running.train()
    yield from running.validate()
    yield from running.evaluate()
    running.save()


def result(folder: Path) -> Result:
    """The result of a finished run."""
    evaluated = read_episodes(folder, "evaluate", ["welfare", "principal_payment", "compliance"])
    return Result(folder, read_about(folder / files.RUN), *(float(value) for value in evaluated.mean()))


class RunInProgress:
    """A run that is being made: its inputs, and the results of the phases so far."""

    principal: Any = None  # frozen once it is trained
    frozen: str | None = None  # a digest of what it was when agents began to learn under it
    policy: Any
    evaluated: Episodes

    def __init__(self, run: Resolved, out: Path) -> None:
        self.run, self.out, self.started = run, out, provenance()
        self.mechanism = given_mechanism(run, out)
        self.record = Record(run, self.mechanism.recorded, in_favour_of(run, out))

    def train(self) -> Iterator[Progress]:
        """Train the mechanism's principal, or take the one that another run trained; other mechanisms have none."""
        from ...learning import phases

        run = self.run
        if run.sources.principal is not None:
            self.principal = taken_principal(run, self.out)
        elif run.principal is not None:
            phase = phases.train_principal(
                run.game, run.principal, seed=run.spec.seed, resources=run.resources, mechanism=self.mechanism
            )
            self.principal = yield from self._phase(TRAIN.name, phase)
        if self.principal is not None:
            self.frozen = _kept(self.principal)

    def validate(self) -> Iterator[Progress]:
        """Train fresh agents, or those of another run (warm start), under the frozen mechanism."""
        from ...learning import phases

        run, before = self.run, self.run.sources.agents
        phase = phases.train_agents(
            run.game, self.mechanism, self.principal, run.agents,
            seed=run.spec.seed, steps=run.spec.steps, resources=run.resources,
            begin=load_run(before, self.out).policy if before else None,
            policies={name: finished(source, self.out) for name, source in run.sources.policies.items()},
        )  # fmt: skip
        self.policy = yield from self._phase(VALIDATE.name, phase)

    def evaluate(self) -> Iterator[Progress]:
        """Play the learned policies in episodes that no training saw."""
        from ...learning import phases

        began, spec = time.perf_counter(), self.run.spec
        self.evaluated = phases.evaluate(
            self.run.game, self.mechanism, self.principal, self.policy, seed=spec.seed, episodes=spec.episodes
        )
        total = int(self.evaluated.length.sum())
        self.record.add(EVALUATE.name, total, self.evaluated, {})
        self.record.seconds[EVALUATE.name] = time.perf_counter() - began
        yield Progress(EVALUATE.name, total, total, *_means(self.evaluated))

    def save(self) -> None:
        """Write the run's folder, which appears complete or not at all.

        Raises UsageError where the principal went on learning after its own phase: the agents knew another one.
        """
        if self.frozen is not None and _kept(self.principal) != self.frozen:
            raise UsageError(
                f"the principal of {self.run.name} changed while agents learned under it: what decides for a mechanism "
                "learns in its own phase, and is frozen after it"
            )
        exam = self._exam()
        if exam is not None:
            self.record.deviation_regret[EVALUATE.name] = exam.regrets
        with files.atomic_dir(self.out / self.run.folder) as partial:
            self.record.save(partial)
            self._keep(partial)
            if exam is not None:
                write_audit(partial, exam.audit)
            save_replay(partial, self._replay())
            write_about(partial, self._about())

    def _keep(self, partial: Path) -> None:
        """Write what was learned."""
        self.policy.save(partial / POLICY)
        if self.run.principal is not None and self.principal is not None:
            self.principal.save(partial / PRINCIPAL)

    def _phase(self, name: str, phase: Learning[T]) -> Generator[Progress, None, T]:
        """Iterate over a phase to its end and return its result."""
        began, recent = time.perf_counter(), None
        with phase:
            for update in phase:
                self.record.add(name, update.steps, update.episodes, update.training)
                recent = _recent(recent, update.episodes)
                yield Progress(name, update.steps, update.total, *_means(recent))
            learned = phase.result()
        self.record.seconds[name] = time.perf_counter() - began
        return learned

    def _exam(self) -> Exam | None:
        """The run's audit; None where the game is too large, or the mechanism cannot be audited."""
        if not is_cheap(self.run.game):
            return None
        try:
            return examine(self.run, self.mechanism, self.principal, self.policy, self.evaluated.key)
        except UsageError:
            return None

    def _replay(self) -> Replay:
        run, stream = self.run, EVALUATE.stream
        return play(run.game, self.mechanism, self.principal, self.policy, seed=run.spec.seed, stream=stream)

    def _about(self) -> dict[str, object]:
        from ..measures.exploited import exploited_income
        from ..measures.states_right import states_right

        run, record, (welfare, payment) = self.run, self.record, _means(self.evaluated)
        right = states_right(run.game, self.mechanism, self.principal, self.policy)
        exploited = exploited_income(
            run.game, self.mechanism, self.principal, getattr(run.agents, "exploiters", ()), self.evaluated,
            seed=run.spec.seed,
        )  # fmt: skip
        agents, given = list(run.game.agents), parameters_of(self.mechanism)
        taken = _taken(run, self.out)
        return {
            "run": run.folder,
            "finished": True,
            "name": run.name,
            "variant": run.variant,
            "spec": explicit(run).model_dump(mode="json", by_alias=True),
            "resolved": {**run.values, "given": given, "agents": agents},
            "plugins": plugins(run.spec),
            "steps": record.steps,
            "steps_taken": taken,
            "seconds": {phase: round(seconds, 2) for phase, seconds in record.seconds.items()},
            "evaluated": {"welfare": welfare, "payment": payment, **right, "exploited_income": exploited},
            **self.started,
        }


def _taken(run: Resolved, out: Path) -> dict[str, int]:
    """Environment steps in which other runs learned what this one takes from them, by their folder and phase."""
    principal, agents, policies, parameters = run.sources
    took = [(principal, [TRAIN]), *((each, [VALIDATE]) for each in (agents, *policies.values()))]
    took += [(each, [TRAIN, VALIDATE]) for each in parameters.values()]
    found: dict[str, int] = {}
    for source, phases in took:
        if source is not None:
            about = read_about(out / source.folder / files.RUN)
            names = [phase.name for phase in phases if phase.name in about["steps"]]
            found |= {} if source is principal else about.get("steps_taken", {})
            found |= {f"{source.folder} {name}": about["steps"][name] for name in names}
    return found


def _kept(principal: Saved) -> str:
    """A digest of all that a principal would save."""
    about, arrays = principal.checkpoint()
    found = hashlib.sha256(json.dumps(dict(about), sort_keys=True).encode())
    for name in sorted(arrays):
        found.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return found.hexdigest()


def _recent(recent: Episodes | None, new: Episodes | None) -> Episodes | None:
    """The last `RECENT` episodes, or all those of the newest update where there are more."""
    if new is None or recent is None or len(new) >= RECENT:
        return recent if new is None else new
    return (recent + new).select(slice(-RECENT, None))


def _means(episodes: Episodes | None) -> tuple[float, float]:
    """Mean welfare and payment."""
    if episodes is None:
        return float("nan"), float("nan")
    return float(episodes.returns.sum(axis=1).mean()), float(episodes.payments.sum(axis=1).mean())

"""Agents that were trained elsewhere, by any framework, evaluated and recorded like the runs that are made here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ...contracts.loop import Act, Principal
from ...core.config import UsageError, require
from ...learning import ROLES
from ...learning.external import EXTERNAL
from .. import files
from ..provenance import command
from ..specs.overrides import override
from ..specs.resolve import Resolved, resolve
from ..specs.spec import RunSpec
from .load import load
from .run import Result, RunInProgress, result

if TYPE_CHECKING:
    from ...learning import Update


def record(
    policy: Act, game: str, *, learner: str, steps: int, mechanism: str = "selfish",
    principal: Principal | str | Path | None = None, principal_learner: str = "", seed: int = 0,
    updates: Iterable[Update] = (), out: str | Path = "runs/external", **settings: object,
) -> Result:  # fmt: skip
    """Evaluate agents that were trained elsewhere, write the folder of their run, and return its result.

    - `policy(seen)` gives actions (B, N) for an `AgentView` of any B; `policy.values(seen)` (B, N), where there is one,
      what each agent expects. Its weights are not kept.
    - `learner` is what comparisons call it, and `steps` the environment steps in which it learned: both as stated.
    - `principal`: the folder of a run whose principal decides, or a function `(game, state) -> Decisions` that was
      trained elsewhere too, by `principal_learner`; for mechanisms that need one.
    - `updates` are kept as its learning curves, `Update(steps, total, episodes, training)` each.
    - `settings` takes the keys of `--set`, as in `run`.

    Small games are audited while the policy is there. Raises UsageError for a name of one of Paymaster's own learners,
    for what does not exist or does not fit, and where the run is already recorded.
    """
    require("torch", what="paymaster.record")
    _check_name("learner", learner)
    if callable(principal):
        _check_name("principal_learner", principal_learner)
    source = load(principal) if isinstance(principal, str | Path) else None
    spec = RunSpec(
        game=game, mechanism=mechanism, algorithm=EXTERNAL, settings={"learner": learner}, steps=steps, seed=seed,
        principal={EXTERNAL: principal_learner} if callable(principal) else {},
        principal_from=source.spec if source else None,
    )  # fmt: skip
    running = _Recording(resolve(override([spec], settings)[0]), Path(out), policy)
    running.principal = source.principal if source else principal
    running.write(updates)
    return result(Path(out) / running.run.folder)


def _check_name(what: str, name: str) -> None:
    if not name:
        raise UsageError(f"{what} is empty: give the name by which comparisons call it")
    if name in ROLES:
        raise UsageError(
            f"{what}: {name!r} is the name of a learner that is trained here: choose another, as my-{name}"
        )


class _Recording(RunInProgress):
    """A run whose policies are given."""

    def __init__(self, run: Resolved, out: Path, policy: Act) -> None:
        super().__init__(run, out)
        self.policy = policy

    def write(self, updates: Iterable[Update]) -> None:
        """Evaluate the policies, and write the run's folder."""
        folder = self.out / self.run.folder
        if folder.exists():
            raise UsageError(f"{folder} is recorded already: give another seed, learner or out, or delete it")
        if self.mechanism.principal and self.principal is None:
            raise UsageError(
                f"mechanism {self.run.spec.mechanism} needs a principal: the folder of a run, or a function "
                "(game, state) -> Decisions"
            )
        with files.locked(self.out, command()):
            for update in updates:
                self.record.add("validate", update.steps, update.episodes, update.training)
            self.record.steps["validate"] = self.run.spec.steps
            for _ in self.evaluate():
                pass
            self.save()

    def _keep(self, partial: Path) -> None:
        """Nothing: what was trained elsewhere is kept elsewhere."""

    def _about(self) -> dict[str, object]:
        who = self.run.agents.learner  # type: ignore[attr-defined]
        said = f"the agents learned outside Paymaster, by {who}; their steps are as stated, their weights are not kept"
        return {**super()._about(), "trained_elsewhere": said}

"""Loads finished runs: their policies and principals, and the values that they give to other runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...contracts.loop import Principal
from ...contracts.mechanism import Mechanism
from ...core.config import UsageError
from ...envs.game import Game
from ...learning.freezing import freeze
from ...learning.role import Finished
from .. import files
from ..specs.resolve import Resolved, references, resolve
from ..specs.spec import THETAS, Reference, RunSpec
from .record import read_episodes, read_run_spec

if TYPE_CHECKING:
    from ...learning.signing import Choice

POLICY, PRINCIPAL = "policy", "principal"  # prefixes of the files of weights


class Loaded(NamedTuple):
    """A loaded run, which acts without RLlib: `policy(seen)` and `principal(game, state)`."""

    run: Resolved
    mechanism: Mechanism  # with the parameters that its sources give
    principal: Principal | None
    policy: Any  # `policy(seen)` gives actions (B, N); `policy.values(seen)`, where there is one, what agents expect

    @property
    def spec(self) -> RunSpec:
        return self.run.spec

    @property
    def game(self) -> Game:
        """The game that was played."""
        return self.run.game


def load(folder: str | Path) -> Loaded:
    """Load the run in `folder`. Raises UsageError where the folder holds no finished run."""
    folder = Path(folder)
    run = resolve(read_run_spec(folder / files.RUN))
    return _load(run, folder, files.results_of(folder, run.folder))


def load_run(run: Resolved, out: Path) -> Loaded:
    """Load a finished run from the folder of results `out`."""
    return _load(run, out / run.folder, out)


def finished(run: Resolved, out: Path) -> Finished:
    """What the agents of a finished run in the folder of results `out` play by."""
    return Finished(run.spec.algorithm, run.values["settings"], load_run(run, out).policy)


def _load(run: Resolved, folder: Path, out: Path) -> Loaded:
    mechanism = given_mechanism(run, out)
    if not mechanism.principal:
        principal = None
    elif run.sources.principal:
        principal = taken_principal(run, out)
    else:
        principal = _own_principal(run, folder)
    return Loaded(run, mechanism, principal, freeze(run.agents.kept().load(folder / POLICY)))


def given_mechanism(run: Resolved, out: Path) -> Mechanism:
    """The run's mechanism, with the parameters that its sources in `out` give."""
    return run.given({name: _given(run, name, reference, out) for name, reference in references(run.spec).items()})


def taken_principal(run: Resolved, out: Path) -> Any:
    """The principal that a source in `out` trained, with the payment margins that the run's own spec gives."""
    assert run.sources.principal is not None
    principal = _own_principal(run.sources.principal, out / run.sources.principal.folder)
    if not run.spec.principal:
        return principal
    return principal.promising(**run.spec.principal)


def _own_principal(run: Resolved, folder: Path) -> Any:
    assert run.principal is not None
    return freeze(run.principal.kept().load(folder / PRINCIPAL))


def in_favour_of(run: Resolved, out: Path) -> float | None:
    """The share of the agents that prefer their signed contract to none; None where the run has no such contract."""
    for name, reference in references(run.spec).items():
        if reference.column in THETAS:
            return _signed(run.sources.parameters[name], reference, out).in_favour
    return None


def _given(run: Resolved, name: str, reference: Reference, out: Path) -> float | None:
    """The value that a source in `out` gives to the run's parameter `name`."""
    source = run.sources.parameters[name]
    if reference.column in THETAS:
        return _signed(source, reference, out).theta
    welfare, payment = _evaluated(out / source.folder)
    if reference.column == "payment":
        return payment
    if reference.column == "payment_share":
        return payment / welfare
    share = float(given_mechanism(source, out).share)  # type: ignore[attr-defined]
    if not share:
        raise UsageError(f"{name}: {source.label} paid a share of 0, so it does not tell the welfare on which it paid")
    return payment / share


def _signed(source: Resolved, reference: Reference, out: Path) -> Choice:
    """The contract that the agents of a finished run sign."""
    from ...learning.signing import choose

    learned = load_run(source, out)
    if not hasattr(learned.policy, "values"):
        raise UsageError(
            f"{reference.column}: agents of algorithm {source.spec.algorithm} have no value estimates; "
            "choose an algorithm that learns"
        )
    rule, highest = THETAS[reference.column], learned.mechanism.highest  # type: ignore[attr-defined]
    return choose(learned.game, learned.policy.values, highest, rule=rule, seed=source.spec.seed)


def _evaluated(folder: Path) -> tuple[float, float]:
    """The mean welfare and the mean payment of a finished run's evaluation."""
    means = read_episodes(folder, "evaluate", ["welfare", "principal_payment"]).mean()
    return float(means["welfare"]), float(means["principal_payment"])

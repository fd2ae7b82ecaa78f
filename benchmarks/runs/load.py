"""What a finished run learned and gives to others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...baselines import mechanism_class
from ...contracts.loop import Principal
from ...contracts.mechanism import Mechanism
from ...core.config import UsageError
from ...envs import make
from .. import files
from ..specs.resolve import (
    Resolved,
    mechanism_of,
    references,
    resolve,
)
from ..specs.spec import THETAS, Reference, RunSpec
from .record import read_episodes, read_run_spec

if TYPE_CHECKING:
    from ...contracts.signing import Choice


POLICY, PRINCIPAL = "policy", "principal"  # prefixes of the weights' files


class Loaded(NamedTuple):
    """What a run learned, to act without RLlib: `policy(seen)` and `principal(game, state)`."""

    spec: RunSpec
    game: Any
    mechanism: Mechanism
    principal: Principal | None
    policy: Any


def load(folder: str | Path) -> Loaded:
    """What the run in `folder` learned. Raises UsageError where the folder holds no finished run."""
    from ...learning.policies.networks import load_policy

    folder = Path(folder)
    spec = read_run_spec(folder / files.RUN)
    resolved, out = resolve(spec), folder.absolute().parents[3]
    mechanism = given_mechanism(resolved, out)
    principal = load_principal(resolved, out, folder) if mechanism.principal else None
    return Loaded(spec, resolved.game, mechanism, principal, load_policy(folder / POLICY))


def given_mechanism(resolved: Resolved, out: Path) -> Mechanism:
    """The run's mechanism, with the parameters that other runs in `out` give."""
    given = {name: _given(value, out) for name, value in references(resolved.spec).items()}
    return mechanism_of(resolved.spec, make(resolved.spec.game, **resolved.spec.rules), given)


def load_principal(resolved: Resolved, out: Path, own: Path | None = None) -> Any:
    """The trained principal of a finished run in `out`: its own, in its folder `own`, or one taken from another run.

    One that was taken may promise otherwise than it was trained to.
    """
    from ...equilibria.exact_principal import ExactPrincipal
    from ...learning.principals.outcomes import OutcomePrincipal
    from ...learning.principals.rates import RatesPrincipal
    from ...learning.principals.recommending import TrainedPrincipal

    source = resolved.spec.principal_from or resolved.spec
    kinds: dict[str, Any] = {
        "dqn": TrainedPrincipal, "outcome-dqn": OutcomePrincipal, "ppo": RatesPrincipal, "exact": ExactPrincipal,
    }  # fmt: skip
    folder = own if own and resolved.spec.principal_from is None else out / resolve(source).folder
    principal = kinds[mechanism_class(source.mechanism).principal].load(folder / PRINCIPAL)
    changed = resolved.spec.principal if resolved.spec.principal_from else {}
    return principal.promising(**changed) if changed else principal


def _given(reference: Reference, out: Path) -> float | None:
    """What a finished run in `out` gives another."""
    if reference.column in THETAS:
        return _signed(reference, out).theta
    return payment_share_of(out / resolve(reference.source).folder)


def in_favour_of(resolved: Resolved, out: Path) -> float | None:
    """The share of the agents that prefer the contract they sign to none, where the run is played under one."""
    signed = [_signed(each, out) for each in references(resolved.spec).values() if each.column in THETAS]
    return signed[0].in_favour if signed else None


def _signed(reference: Reference, out: Path) -> Choice:
    """The contract that the agents of a finished run sign."""
    from ...contracts.signing import choose

    learned = load(out / resolve(reference.source).folder)
    if not hasattr(learned.policy, "values"):
        raise UsageError(
            f"{reference.column}: agents of algorithm {learned.spec.algorithm} expect nothing; choose one that learns"
        )
    rule, highest = THETAS[reference.column], learned.mechanism.highest  # type: ignore[attr-defined]
    return choose(learned.game, learned.policy.values, highest, rule=rule, seed=learned.spec.seed)


def payment_share_of(folder: Path) -> float:
    """The payment share of a finished run: its evaluation's mean payment / mean welfare."""
    means = read_episodes(folder, "evaluate", ["welfare", "principal_payment"]).mean()
    return float(means["principal_payment"] / means["welfare"])

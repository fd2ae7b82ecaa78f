"""The frozen principals by the name under which mechanisms ask for them."""

from __future__ import annotations

from pathlib import Path

from ...equilibria.exact_principal import ExactPrincipal
from .outcomes import OutcomePrincipal
from .rates import RatesPrincipal
from .recommending import TrainedPrincipal

AnyPrincipal = TrainedPrincipal | OutcomePrincipal | RatesPrincipal | ExactPrincipal
KINDS: dict[str, type[AnyPrincipal]] = {
    "dqn": TrainedPrincipal, "outcome-dqn": OutcomePrincipal, "ppo": RatesPrincipal, "exact": ExactPrincipal,
}  # fmt: skip


def load_principal(kind: str, prefix: Path) -> AnyPrincipal:
    """The principal that was saved at `prefix`. Raises UsageError where there is none."""
    return KINDS[kind].load(prefix)

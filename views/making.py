"""A view of a game under a mechanism, checked."""

from __future__ import annotations

from typing import Literal

from pettingzoo import AECEnv
from pettingzoo.utils.conversions import parallel_to_aec_wrapper
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from ..contracts.loop import Principal
from ..contracts.mechanism import Mechanism
from ..core.config import UsageError
from ..envs.game import Game
from .parallel import RENDER_MODES, ParallelView
from .principal import PrincipalFirst, PrincipalView


def view(
    game: Game,
    mechanism: Mechanism,
    principal: Principal | Literal["agent"] | None = None,
    render_mode: str | None = None,
    *,
    alpha: float = 0.1,
    name: str = "paymaster",
) -> ParallelView:
    """The view in which all agents act at once: `ParallelView`, or `PrincipalView` where the principal is an agent.

    Raises UsageError where the mechanism needs a principal and gets none or the other way round, for an unknown
    `render_mode`, and for an `alpha` that is not above 0.
    """
    what = f"mechanism {type(mechanism).__name__}"
    if mechanism.principal and principal is None:
        raise UsageError(f"{what} needs a principal: principal='agent', or a function (game, state) -> Decisions")
    if principal is not None and not mechanism.principal:
        raise UsageError(f"principal is {principal!r}, and {what} has none; leave principal out")
    if not (principal is None or principal == "agent" or callable(principal)):
        raise UsageError(f"principal is {principal!r}; allowed: None, 'agent', a function (game, state) -> Decisions")
    if mechanism.needs_values or mechanism.needs_probabilities:
        needed = "value estimates" if mechanism.needs_values else "the probabilities of actions"
        raise UsageError(f"{what} needs {needed} of the agents, which a view does not have; leave it out")
    if render_mode not in (None, *RENDER_MODES):
        raise UsageError(f"render_mode is {render_mode!r}; allowed: None, {', '.join(map(repr, RENDER_MODES))}")
    if not alpha > 0:
        raise UsageError(f"alpha is {alpha}; it must be above 0, since what the principal values is divided by it")
    if principal == "agent":
        return PrincipalView(game, mechanism, None, render_mode, name=name, alpha=alpha)
    return ParallelView(game, mechanism, principal, render_mode, name=name)


def in_turns(parallel: ParallelView) -> AECEnv:
    """The same game in turns: the agents act one after the other, in order, without seeing each other's action.

    A principal that is an agent acts first, and the others see its terms when they act.
    """
    kind = PrincipalFirst if isinstance(parallel, PrincipalView) else parallel_to_aec_wrapper
    return OrderEnforcingWrapper(kind(parallel))

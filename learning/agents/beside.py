"""`beside`: the agents beside which a mechanism was learned play on under it; nothing is learned anew."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar

from ...contracts.mechanism import Mechanism
from ...core.config import UsageError, configuration
from ..role import Role, Task, Update
from ..settings import PlayBy

if TYPE_CHECKING:
    from .companions import Companions


@configuration
class Beside(Role):
    """The agents beside which the mechanism's incentives were learned, as they were in the end.

    What is learned beside learning agents may need just those agents, so fresh ones are the verdict on a mechanism, and
    these a row of their own.
    """

    play: PlayBy = "sampled"
    """How they act: they draw their actions, as while they learned, or take the likeliest."""

    plays: ClassVar[str] = "agents"
    learns: ClassVar[bool] = False
    keeps: ClassVar[str] = ".agents.companions:Companions"

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a mechanism that keeps no agents."""
        if not mechanism.keeps_agents:
            raise UsageError(
                f"{type(mechanism).__name__} keeps no agents beside which it was learned: choose an algorithm that "
                "learns, as dqn or ppo"
            )

    def learn(self, task: Task) -> Generator[Update, None, Companions]:
        yield from ()
        learned: Companions = task.principal.agents  # type: ignore[union-attr]
        return type(learned)(learned.shape, learned.terms, learned.policies, self.play)

"""Algorithm 3 of Ivanov et al. 2024 as a role: a principal that recommends actions and pays for following."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from ...contracts.margins import PaymentMargins
from ...core.config import UsageError, configuration
from ...envs.game import symmetries
from ..role import Role, Task, Update
from ..settings import Count, Network, Objective, Optimiser, Replayed, Share

if TYPE_CHECKING:
    from .recommending import TrainedPrincipal


@configuration
class Algorithm3(PaymentMargins, Objective, Network, Optimiser, Replayed, Role):
    """Algorithm 3 of Ivanov et al. 2024: training of the principal and its model of the agents, and its payments."""

    steps: Count = 200_000
    """Environment steps of the principal's own training; not part of the agents' budget."""
    mirrored: bool = False
    """Whether it learns from all symmetric views of a game (mirrored, rotated), and decides by their mean."""
    follow: Share = 0.75
    """The probability that an agent follows in an episode (f_i = 1)."""
    epsilon: Share = 0.4
    epsilon_final: Share = 0.02
    exploration_fraction: Annotated[float, Field(gt=0.0, le=1.0, alias="explore_until")] = 0.7
    tau: Annotated[float, Field(gt=0.0, le=1.0)] = 0.05
    priority: Share = 0.4

    margins: ClassVar[type] = PaymentMargins

    def learn(self, task: Task) -> Generator[Update, None, TrainedPrincipal]:
        from ..configurations import joint_shape, recommending_principal_config
        from ..rllib.training import averaged, updates
        from .recommending import TrainedPrincipal

        if self.mirrored and not symmetries(task.game):
            raise UsageError("mirrored: the game has no symmetries; leave mirrored out, or set it to false")
        shape = joint_shape(task.game, self)
        config = recommending_principal_config(task.game, shape, self, seed=task.seed, resources=task.resources)
        margins = PaymentMargins(**{each.name: getattr(self, each.name) for each in fields(PaymentMargins)})
        principal = TrainedPrincipal(shape, margins, mirrored=self.mirrored)
        return (yield from updates(config, task.steps, lambda algorithm: averaged(algorithm, principal)))

    def kept(self) -> type[TrainedPrincipal]:
        from .recommending import TrainedPrincipal

        return TrainedPrincipal

"""Algorithm 2 of Ivanov et al. 2024 as a role: a principal that sees only outcomes, and pays for them."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ...core.config import configuration
from ..role import Role, Task, Update
from ..settings import Count, Optimiser, Rate, Replayed, Share

if TYPE_CHECKING:
    from .outcomes import OutcomePrincipal


@configuration
class Algorithm2(Optimiser, Replayed, Role):
    """Algorithm 2 of Ivanov et al. 2024: training of a principal that sees only outcomes, and its model of the agent.

    The paper's are two layers of 256, 20,000 gradient steps of 128 rows for 8 environment steps each, targets copied
    every 100; as many environment steps as here, and batches that see each of them several times, leave less noise.
    """

    steps: Count = 1_280_000
    """Environment steps of the principal's own training; not part of the agents' budget."""
    margin: Annotated[float, Field(ge=0.0, alias="nudge")] = 0.0
    """The margin by which the induced action is better for the agent than any other."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the dense layers of both networks."""
    discount: Share = 1.0
    lr: Rate = 2e-3
    lr_final: Rate = 1e-5
    epsilon: Share = 1.0
    epsilon_final: Share = 0.2
    exploration_fraction: Annotated[float, Field(gt=0.0, le=1.0, alias="explore_until")] = 1.0
    tau: Annotated[float, Field(gt=0.0, le=1.0)] = 0.005
    environments: Count = 256
    batch: Count = 2048
    replay: Annotated[int, Field(ge=1000)] = 1_280_000
    """Capacity of the replay buffer, in environment steps: by default all, since no transition becomes outdated."""
    rollout_length: Annotated[int, Field(ge=1, alias="fragment")] = 20

    def learn(self, task: Task) -> Generator[Update, None, OutcomePrincipal]:
        from ..configurations import outcome_principal_config, outcome_shape
        from ..rllib.training import averaged, updates
        from .outcomes import OutcomePrincipal

        shape = outcome_shape(task.game, self)
        config = outcome_principal_config(task.game, shape, self, seed=task.seed, resources=task.resources)
        principal = OutcomePrincipal(shape, nudge=self.margin)
        return (yield from updates(config, task.steps, lambda algorithm: averaged(algorithm, principal)))

    def kept(self) -> type[OutcomePrincipal]:
        from .outcomes import OutcomePrincipal

        return OutcomePrincipal

"""A principal that learns rates by PPO while its agents learn by PPO, as a role."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ...contracts.mechanism import Mechanism
from ...contracts.rates import RatesContract
from ...core.config import UsageError, configuration
from ..agents.ppo import PPO
from ..role import Role, Task, Update
from ..settings import Count, Network, OnPolicy, Optimiser, Rate, Share

if TYPE_CHECKING:
    from .rates import RatesPrincipal


@configuration
class RatesPPO(Network, Optimiser, OnPolicy, Role):
    """A principal that learns rates by PPO while the agents that it pays learn by PPO too."""

    alpha: Rate = 0.1
    """The price of money: the principal maximises the sum of welfare / alpha - payments over an episode."""
    steps: Count = 1_000_000
    """Environment steps of the principal's own training; not part of the budget of the agents trained afterwards."""
    offers: Literal["same", "each"] = "same"
    """same: one rate for each fact, offered to every agent; each: every agent has rates of its own."""
    rungs: Annotated[int, Field(ge=2)] = 11
    """The number of rates to choose from, evenly spaced from 0 to the highest."""
    discount: Share = 1.0
    """Discount factor per step; 1 is allowed, since the horizon terminates the principal's episode."""
    entropy_final: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight of the entropy bonus at the end, linear in between."""
    generations: Count = 2
    """How often the agents restart, after equal parts of the budget: the principal will pay fresh agents."""
    burn_in: Annotated[float, Field(ge=0.0, lt=1.0, alias="wait")] = 0.4
    """The share of each generation in which only the agents learn, to respond to the principal's rates."""
    batch: Count = 128
    """The least number of decisions in an update of the principal: it learns more slowly than the agents."""
    agents: PPO = Field(default_factory=PPO)
    """The settings of its agents; the environments, epochs and minibatches hold for both."""

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a mechanism that offers no rates."""
        if not isinstance(mechanism, RatesContract):
            raise UsageError(
                f"a principal that learns rates needs a contract of rates (got {type(mechanism).__name__})"
            )

    def learn(self, task: Task) -> Generator[Update, None, RatesPrincipal]:
        from ..configurations import rates_principal_config, rates_shape
        from ..rllib.recommending import MODULE
        from ..rllib.training import tensors, updates
        from .rates import RatesPrincipal

        contract = task.mechanism
        assert isinstance(contract, RatesContract)
        shape = rates_shape(task.game, contract, self)
        config = rates_principal_config(task.game, contract, shape, self, seed=task.seed, resources=task.resources)
        principal = RatesPrincipal(shape, contract.promised_shape, contract.highest)

        def learned(algorithm):
            principal.network.load_state_dict(tensors(algorithm.weights()[MODULE], "net."))
            return principal

        return (yield from updates(config, task.steps, learned))

    def kept(self) -> type[RatesPrincipal]:
        from .rates import RatesPrincipal

        return RatesPrincipal

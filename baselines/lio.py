"""`lio`: agents that learn, through the learning of the others, what to give them for what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Decisions, Mechanism, Summary, Transition
from ..contracts.recommendation import others_index
from ..core.config import UsageError, configuration
from ..core.search_space import Range, SearchSpace
from ..learning.role import Task
from ..learning.through_learning import ThroughLearning

if TYPE_CHECKING:
    from ..learning.agents.companions import Companions
    from ..learning.principals.incentives import Incentives

MOST_OUTPUTS = 1 << 12  # numbers that all givers tell in one environment: N of them, N - 1 receivers, A^(N-1) each
SMALL = 0.01  # of what people are told, the amount below which nothing is given


@configuration
class LIO(ThroughLearning):
    """Every agent learns what to give by the effect of it on the others' next step of learning.

    An agent's incentives climb its own return from the environment, in episodes that the others play after their step.
    As in the paper what is given is a cost to the incentives alone, by steps of their own (`cost_lr`, as in Escape
    Room) or by a weight in what they climb (`cost`, as in Cleanup). Where the mechanism charges what is given, agents
    learn to act by what is left to them, and incentives still climb the return before it: within one step of the
    others' learning no gift pays for itself.
    """

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a mechanism other than `lio`."""
        if not isinstance(mechanism, LearnedIncentives):
            raise UsageError(f"lio needs the mechanism lio (got {type(mechanism).__name__})")

    def begin(self, task: Task, agents: Companions) -> Incentives:
        from ..learning.principals.incentives import Incentives

        contract, N, A = task.mechanism, len(task.game.agents), len(task.game.action_names)
        assert isinstance(contract, LearnedIncentives)
        givers = Incentives.fresh(
            contract.highest, A, N, agents.sight.width, N - 1, N - 1, self.incentive_hidden, agents
        )
        givers.charged = contract.charged
        return givers

    def kept(self) -> type[Incentives]:
        from ..learning.principals.incentives import Incentives

        return Incentives


@configuration
class LearnedIncentives(Mechanism):
    """Agent `i` gives each other agent `j` the amount `R sigmoid(f_i(o_i, a_-i))_j`, learned to make it learn. Shaping.

    Each agent has a network `f_i` of its own, which sees what the agent sees and what the others do, and was learned
    through their learning (`LIO`): it raises the environment's return of its own agent, by what the others do once they
    have learned from what they were given. In the paper incentives are created: givers' returns are charged for
    nothing, so no money moves, and it is shaping. With `charged` what an agent gives is taken from what it earns, and
    it is a transfer. Agents see none of it; they learn by what they receive, as they do in the paper.

    LIO, Yang et al. 2020 (arXiv:2006.06051).

    Raises UsageError for a game of one agent, and where so many agents have so many actions that givers cannot tell
    them all apart.
    """

    principal: ClassVar[type] = LIO
    keeps_agents: ClassVar[bool] = True
    tuned: ClassVar[SearchSpace] = {"highest": Range(0.5, 5.0)}

    highest: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    """R, the most that an agent gives another in a step, in reward."""
    charged: bool = False
    """Whether what an agent gives is taken from it; else it is created."""

    @model_validator(mode="after")
    def _check(self) -> LearnedIncentives:
        N, A = len(self.game.agents), len(self.game.action_names)
        name = type(self.game).__name__
        if N < 2:
            raise UsageError(f"agents give incentives to each other; {name} has one, choose another game")
        if (count := N * (N - 1) * A ** (N - 1)) > MOST_OUTPUTS:
            raise UsageError(
                f"{N} agents with {A} actions each would tell {count:,} amounts in every state, and {MOST_OUTPUTS:,} "
                f"are allowed, for {name}: choose a game of fewer agents"
            )
        return self

    @property
    def promised_shape(self) -> tuple[int, ...]:
        """(N, N, A^(N-1)): from giver to receiver, by what the giver's others do (`others_index`)."""
        N = len(self.game.agents)
        return N, N, len(self.game.action_names) ** (N - 1)

    @property
    def promised_bounds(self) -> tuple[float, float]:
        return 0.0, self.highest

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        others = others_index(transition.actions, len(self.game.action_names))
        gifts = np.take_along_axis(transition.terms.promised, others[:, :, None, None], axis=3)[..., 0]
        money = Ledger.zeros(*transition.rewards.shape)
        if self.charged:
            return money._replace(transfers=gifts.astype(np.float32)), memory
        return money._replace(shaping=gifts.sum(axis=1, dtype=np.float32)), memory

    def summary(self, terms: Decisions, B: int) -> Summary:
        """For each agent in words: to whom it gives how much at most, and for what."""
        N, names = len(self.game.agents), self.game.action_names
        words = np.full((B, N), "", dtype=object)
        for b in range(B):
            for i in range(N):
                words[b, i] = ", ".join(self._told(terms.promised[b, i], i, j, names) for j in range(N) if j != i)
        return Summary(np.full((B, N), -1), np.zeros((B, N), np.float32), words.astype(str))

    def _told(self, given: np.ndarray, giver: int, receiver: int, names: tuple[str, ...]) -> str:
        """What is given to a receiver for its own action, the mean over what any third does."""
        N, place = len(self.game.agents), receiver - (receiver > giver)
        by_action = np.moveaxis(given[receiver].reshape((len(names),) * (N - 1)), place, 0).reshape(len(names), -1)
        amounts = by_action.mean(axis=1)
        best = int(amounts.argmax())
        if amounts[best] < SMALL:
            return f"nothing to {self.game.agents[receiver]}"
        return f"{amounts[best]:.2f} to {self.game.agents[receiver]} for {names[best]}"

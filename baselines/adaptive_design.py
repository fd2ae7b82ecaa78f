"""`adaptive-mechanism-design`: a planner that learns, through the agents' learning, whom to pay and whom to tax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Decisions, Mechanism, Summary, Transition
from ..core.config import UsageError, configuration
from ..core.search_space import Range, SearchSpace
from ..envs.game import hides_actions
from ..learning.role import Task
from ..learning.settings import Rate
from ..learning.through_learning import ThroughLearning

if TYPE_CHECKING:
    from ..learning.agents.companions import Companions
    from ..learning.principals.incentives import Planner

MOST_OUTPUTS = 1 << 12  # numbers that a planner tells of one environment: N of each of A^N joint actions


@configuration
class AdaptivePlanner(ThroughLearning):
    """A planner that learns what to pay and to take by its effect on the next step of learning of the agents.

    It climbs the welfare of episodes that the agents play after their step, less `cost` times what it pays and takes,
    as the length of the vector of a step's amounts. To first order it climbs `sum_i lr grad_i V_i . grad_i W`, the
    objective of Baumann et al. 2018, with V_i what agent i is paid and W the welfare. Where agents cooperate for good
    that is nothing, and amounts fall.
    """

    lr: Rate = 0.05
    """Step size of the agents' ascent."""
    incentive_lr: Rate = 0.01
    """Adam's learning rate of the planner."""
    cost: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 2e-4
    """Weight of what is paid and taken in the planner's objective."""
    cost_lr: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    """Adam's learning rate of steps in which the planner learns to move less money, beside the others; 0 for none."""

    tuned: ClassVar[SearchSpace] = {
        **{name: space for name, space in ThroughLearning.tuned.items() if name != "cost_lr"},
        "cost": Range(1e-5, 1e-2, log=True),
    }

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a mechanism other than `adaptive-mechanism-design`."""
        if not isinstance(mechanism, AdaptiveMechanism):
            raise UsageError(
                f"an adaptive planner needs the mechanism adaptive-mechanism-design (got {type(mechanism).__name__})"
            )

    def begin(self, task: Task, agents: Companions) -> Planner:
        from ..learning.principals.incentives import Planner
        from ..learning.worlds import width

        contract, game = task.mechanism, task.game
        assert isinstance(contract, AdaptiveMechanism)
        N, A = len(game.agents), len(game.action_names)
        return Planner.fresh(contract.highest, A, 1, width(game), N, N, self.incentive_hidden, agents)

    def kept(self) -> type[Planner]:
        from ..learning.principals.incentives import Planner

        return Planner


@configuration
class AdaptiveMechanism(Mechanism):
    """A learned planner pays or taxes agent `i` the amount `R (2 sigmoid(f(s, a)_i) - 1)`. Payments and taxes.

    Its network sees the state and what all agents did, and was learned through their learning (`AdaptivePlanner`) to
    raise the welfare. It punishes too: where the amount is negative it is a tax, so this is no contract of limited
    liability, and what a principal of payments alone can do is another question. Agents see none of it; they learn by
    what they are paid, as they do in the paper.

    Adaptive mechanism design, Baumann, Graepel and Shawe-Taylor 2018 (arXiv:1806.04067).

    Raises UsageError where so many agents have so many actions that the planner cannot tell their joint actions apart.
    """

    principal: ClassVar[type] = AdaptivePlanner
    keeps_agents: ClassVar[bool] = True
    tuned: ClassVar[SearchSpace] = {"highest": Range(1.0, 10.0)}

    highest: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3.0
    """R, the most that an agent is paid or taxed in a step, in reward."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        N, A = len(self.game.agents), len(self.game.action_names)
        if (count := N * A**N) > MOST_OUTPUTS:
            raise UsageError(
                f"{N} agents with {A} actions each make a planner tell {count:,} amounts in every state, and "
                f"{MOST_OUTPUTS:,} are allowed, for {type(self.game).__name__}: choose a game of fewer agents"
            )
        return self

    def check_principal(self) -> None:
        if hides_actions(self.game):
            raise UsageError(
                f"it pays and taxes actions, and {type(self.game).__name__} hides them; choose outcome-dqn, which pays "
                "on outcomes"
            )

    @property
    def promised_shape(self) -> tuple[int, ...]:
        """(N, A^N): to each agent, by the joint action, of which agent 0's part varies slowest."""
        N = len(self.game.agents)
        return N, len(self.game.action_names) ** N

    @property
    def promised_bounds(self) -> tuple[float, float]:
        return -self.highest, self.highest

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        actions, A = transition.actions.astype(np.int64), len(self.game.action_names)
        joint = actions @ A ** np.arange(actions.shape[1])[::-1]
        amounts = np.take_along_axis(transition.terms.promised, joint[:, None, None], axis=2)[..., 0]
        paid, taxed = np.maximum(amounts, 0.0), np.maximum(-amounts, 0.0)
        return Ledger.zeros(*transition.rewards.shape)._replace(payments=paid, taxes=taxed), memory

    def summary(self, terms: Decisions, B: int) -> Summary:
        """For each agent in words: what it is paid, or taxed, for each action, the mean over what the others do."""
        N, names = len(self.game.agents), self.game.action_names
        words = np.full((B, N), "", dtype=object)
        for i in range(N):
            by_action = np.moveaxis(terms.promised[:, i].reshape(B, *(len(names),) * N), 1 + i, 1)
            for b, amounts in enumerate(by_action.reshape(B, len(names), -1).mean(axis=2)):
                words[b, i] = ", ".join(f"{name} {amount:+.2f}" for name, amount in zip(names, amounts, strict=True))
        return Summary(np.full((B, N), -1), np.zeros((B, N), np.float32), words.astype(str))

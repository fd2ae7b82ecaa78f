"""`least-incentives`: a principal searches what each arm of an agent takes, then learns which of them is worth it."""

from __future__ import annotations

from collections.abc import Generator
from typing import ClassVar

import numpy as np

from ..contracts.mechanism import Decisions, Mechanism
from ..contracts.outcomes import OutcomeContract
from ..core.config import UsageError, configuration
from ..envs.game import hides_actions
from ..equilibria.tables.tabulate import tabulate
from ..equilibria.tolerances import UTILITY_TIE
from ..learning.bandits import Incentives, Pulls, searches
from ..learning.principals.outcome_table import OutcomeTable
from ..learning.role import Role, Task, Update
from ..learning.settings import Count, Rate


@configuration
class IncentivesBandit(Role):
    """A principal that learns what to pay for which arm, one pull an episode, from an agent that knows what it earns.

    The agent pulls the arm that is best for it, incentives included. Where two are, it pulls the one that is paid for.
    """

    steps: Count = 10_000
    """Pulls of the principal's own training; not part of the agents' budget."""
    highest: Rate = 1.0
    """The most that an arm may take: the difference between the best and the worst reward of the agent at least."""

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a mechanism other than `least-incentives`, and fewer pulls than its search takes."""
        if not isinstance(mechanism, LeastIncentives):
            raise UsageError(f"this principal needs the mechanism least-incentives (got {type(mechanism).__name__})")
        search = len(mechanism.game.action_names) * searches(self.steps)
        if self.steps <= search:
            raise UsageError(f"steps: the search alone takes {search} pulls of all arms (got {self.steps}): give more")

    def learn(self, task: Task) -> Generator[Update, None, OutcomeTable]:
        task.resources.check_no_runners("a bandit")
        earned = tabulate(task.game).rewards[0, :, 0]  # (K,)
        loop, bandit = task.loop(len(earned)), Incentives(len(earned), self.highest, task.steps, task.draws())
        while loop.steps < task.steps:
            rates = bandit.deal().astype(np.float32)
            wanted = rates.argmax(axis=1)
            loop.offer(Decisions(wanted[:, None], rates[:, None]))
            step = loop.step(answers(earned, rates, wanted)[:, None])
            gains = task.game.principal_reward(step.transition.events)
            bandit.observe(Pulls(rates, gains, step.ledger.payments[:, 0]))
            yield Update(loop.steps, task.steps, step.episodes, {"principal/searching": float(bandit.searching)})
        best = bandit.best
        return OutcomeTable(np.array([best.argmax()]), best[None])

    def kept(self) -> type[OutcomeTable]:
        return OutcomeTable


def answers(earned: np.ndarray, rates: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(B,) the best arms, where they earn `earned` (K,) and `rates` (B, K); those `wanted` (B,) where they are too."""
    total = earned + rates
    does = np.take_along_axis(total, wanted[:, None], axis=1)[:, 0] >= total.max(axis=1) - UTILITY_TIE
    return np.where(does, wanted, total.argmax(axis=1))


@configuration
class LeastIncentives(OutcomeContract):
    """So much for one arm of the agent's, learned by search and a bandit, with limited liability (pay >= 0). Payments.

    The contract is that of `outcome-dqn`, in games of one round in which every action has an outcome of its own. Its
    principal searches the least incentive for each arm, and then learns which arm is best at that price: Scheid et al.
    2024, "Incentivized learning in principal-agent bandit games" (arXiv:2403.03811).
    """

    principal: ClassVar[type] = IncentivesBandit  # type: ignore[assignment]

    def check_principal(self) -> None:
        """Raise UsageError for a game that is no principal-agent bandit."""
        game = self.game
        arms = len(game.agents) == game.horizon == 1 and len(game.verifiable) == len(game.action_names)
        if not (arms and hides_actions(game) and (tabulate(game).facts[:, :, 0] == np.eye(len(game.verifiable))).all()):
            raise UsageError(
                f"{type(game).__name__} is no game of one agent and one round in which every action has an outcome of "
                "its own, and a principal with rewards of its own: ask for a principal_agent_bandit"
            )

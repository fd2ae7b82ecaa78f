"""`contractual-rl`: a tabular principal learns payments on outcomes from an agent that answers its contracts."""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from ..contracts.mechanism import Mechanism, Transition
from ..contracts.outcomes import OutcomeContract
from ..core.config import UsageError, configuration
from ..core.search_space import Range, SearchSpace
from ..envs.game import Game
from ..equilibria.tables.table import tabular
from ..equilibria.tables.tabulate import tabulate
from ..learning.agents.best_response import best_response_to
from ..learning.principals.contractual import OVER, Contractual, Happened
from ..learning.principals.outcome_table import OutcomeTable
from ..learning.role import Role, Task, Update
from ..learning.settings import Count, Rate, Share


@configuration
class ContractualPrincipal(Role):
    """A principal with a table for a memory, and an agent that plays its best response to each contract.

    It begins without knowing costs, values, chances or what follows. It sees what the agent does, which it cannot pay
    for, and which outcome comes; Algorithm 2, in training, is also told the chances and what the agent earns. First it
    searches what inducing each action takes in each state, by bisection, then it offers the contract that is best by
    what it knows (`learning/principals/contractual.py`). The agent knows the game and looks ahead to its end.
    """

    steps: Count = 1_280_000
    """Environment steps of the principal's own training; not part of the agents' budget."""
    highest: Rate = 2.0
    """The highest difference between two outcomes' payments that is searched."""
    tolerance: Rate = 0.005
    """The width at which the search of a state's threshold ends, in reward."""
    margin: Rate = 0.002
    """What a payment exceeds the least one by; it doubles in a state in which the agent did something else."""
    optimism: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.1
    """What is added to the value of inducing an action, over the root of how often it was taken."""
    searched: Share = 0.8
    """The share of the budget after which the search ends, whatever is still open."""
    environments: Count = 128
    """Episodes that are played under one contract."""

    tuned: ClassVar[SearchSpace] = {"tolerance": Range(1e-3, 0.1, log=True), "margin": Range(1e-3, 0.1, log=True)}

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a mechanism other than `contractual-rl`."""
        if not isinstance(mechanism, ContractualContract):
            raise UsageError(f"this principal needs the mechanism contractual-rl (got {type(mechanism).__name__})")

    def learn(self, task: Task) -> Generator[Update, None, OutcomeTable]:
        task.resources.check_no_runners("a tabular principal")
        game, loop, draws = task.game, task.loop(self.environments), task.draws()
        table, steps = tabulate(game), tabular(game).representatives().t
        known = Contractual(steps, self.highest, self.tolerance, self.margin)
        while loop.steps < task.steps:
            if known.searching and loop.steps >= self.searched * task.steps:
                known.end_search()
            contract = known.search(draws) if known.searching else known.plan(self.optimism)
            answer, happened = best_response_to(contract, game, table), []
            for _ in range(game.horizon):
                loop.offer(contract(game, loop.state))
                step = loop.step(answer(loop.seen))
                happened.append(step_of(game, step.transition))
            known.observe(Happened(*map(np.concatenate, zip(*happened, strict=True))), contract)
            yield Update(loop.steps, task.steps, step.episodes, {"principal/open": float(known.open.mean())})
        return known.plan()

    def kept(self) -> type[OutcomeTable]:
        return OutcomeTable


def step_of(game: Game, moved: Transition) -> Happened:
    """What a principal sees of a step of `B` environments."""
    follows = np.where(game.terminated(moved.next_state), OVER, tabular(game).index(moved.next_state))
    outcome = game.facts(moved.events)[:, 0].argmax(axis=1)
    value = game.principal_reward(moved.events)
    return Happened(tabular(game).index(moved.state), moved.actions[:, 0], outcome, value, follows)


@configuration
class ContractualContract(OutcomeContract):
    """In every state a payment for each outcome, with limited liability, learned by search and tables. Payments.

    The contract is that of `outcome-dqn`. Its principal learns without a model, by tables, from an agent that plays its
    best response to what is offered: contractual reinforcement learning (Wu et al. 2024, arXiv:2407.01458).
    """

    principal: ClassVar[type] = ContractualPrincipal  # type: ignore[assignment]

"""`best-response`: one agent's exact best response to a frozen principal, which measures the principal alone."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from ...contracts.loop import AgentView, Principal
from ...contracts.mechanism import Mechanism
from ...core.checkpoint import Checkpoint, Saved
from ...core.config import UsageError, configuration
from ...envs.game import Game
from ..role import Role, Task, Update

if TYPE_CHECKING:
    from ...equilibria.tables.table import Table


class TablePolicy(Saved):
    """The action of one agent for each class that it can see: `actions` (classes,)."""

    def __init__(self, actions: np.ndarray) -> None:
        self.actions = actions

    def __call__(self, seen: AgentView) -> np.ndarray:
        """The agent's actions (B, 1)."""
        return self.actions[seen.observations[:, 0, 0].astype(np.int64)]

    def checkpoint(self) -> Checkpoint:
        return Checkpoint({"kind": "table"}, {"actions": self.actions})

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        return cls(checkpoint.arrays["actions"])


@configuration
class BestResponse(Role):
    """Nobody learns: the one agent plays its best response, by the table of the game and the frozen principal."""

    plays: ClassVar[str] = "agents"
    learns: ClassVar[bool] = False

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for agents that do not see their state, and for a mechanism that remembers more than it."""
        if mechanism.principal and mechanism.start(np.zeros(1, np.uint64)) != ():
            raise UsageError(
                f"{type(mechanism).__name__} remembers more than the state: choose an algorithm that learns"
            )
        game = mechanism.game
        if game.observation_space.shape != (1, 1) or not game.classes:
            raise UsageError(
                f"{type(game).__name__} does not show the agent its state as one class: choose an algorithm that learns"
            )

    def learn(self, task: Task) -> Generator[Update, None, TablePolicy]:
        yield from ()
        return best_response_to(task.principal, task.game)

    def kept(self) -> type[TablePolicy]:
        return TablePolicy


def best_response_to(principal: Principal | None, game: Game, table: Table | None = None) -> TablePolicy:
    """The one agent's best response in every state; where it is indifferent, the action the principal prefers.

    The `table` of the game is made unless given.
    """
    from ...equilibria.principal.hidden_actions import best_response, contracts_of, unpaid
    from ...equilibria.tables.table import tabular
    from ...equilibria.tables.tabulate import tabulate

    table, states = tabulate(game) if table is None else table, tabular(game).representatives()
    if principal is None:
        actions = unpaid(table, game.horizon).actions
    else:
        actions = best_response(table, contracts_of(principal, game)).actions
    seen = game.observe(states)[:, 0]
    chosen = np.zeros(game.classes, np.int64)
    chosen[seen[:, 0, 0]] = actions[states.t, np.arange(len(seen))]  # a state tells its step
    return TablePolicy(chosen)

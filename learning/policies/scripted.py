"""Agents that learn nothing: obedient agents, and one exact best response to a frozen principal.

They measure a principal apart from the agents' learning: `follow` under obedience, `best-response` against an agent
that maximises its own return.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from ...contracts.loop import AgentView, Principal
from ...contracts.mechanism import Mechanism
from ...contracts.recommendation import RecommendationContract
from ...core.checkpoint import Checkpoint, Saved
from ...core.config import UsageError
from ...envs.game import Game
from ...equilibria.principal.hidden_actions import best_response, contracts_of, unpaid
from ...equilibria.tables.table import tabular
from ...equilibria.tables.tabulate import tabulate
from ..settings import BestResponseSettings, FollowSettings


class FollowPolicy(Saved):
    """Every agent takes the action that the first `actions` numbers of its terms recommend."""

    def __init__(self, actions: int) -> None:
        self.actions = actions

    def __call__(self, seen: AgentView) -> np.ndarray:
        """The agents' actions (B, N)."""
        return seen.terms[..., : self.actions].argmax(axis=-1)

    def checkpoint(self) -> Checkpoint:
        return Checkpoint({"kind": "follow", "actions": self.actions})

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        return cls(checkpoint.about["actions"])


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


def untrained(
    game: Game, mechanism: Mechanism, principal: Principal | None, settings: FollowSettings | BestResponseSettings
) -> FollowPolicy | TablePolicy:
    """The policy of agents that learn nothing. Raises UsageError where the game or the mechanism gives them none."""
    if isinstance(settings, BestResponseSettings):
        if mechanism.principal and mechanism.start(np.zeros(1, np.uint64)) != ():
            raise UsageError(
                f"{type(mechanism).__name__} remembers more than the state: choose an algorithm that learns"
            )
        return _best_response(game, principal)
    if not isinstance(mechanism, RecommendationContract):
        raise UsageError(f"{type(mechanism).__name__} recommends nothing that agents could follow: choose an algorithm")
    return FollowPolicy(len(game.action_names))


def _best_response(game: Game, principal: Principal | None) -> TablePolicy:
    """The one agent's best response in every state; where it is indifferent, the action the principal prefers."""
    table, states = tabulate(game), tabular(game).representatives()
    if principal is None:
        actions = unpaid(table, game.horizon).actions
    else:
        actions = best_response(table, contracts_of(principal, game)).actions
    seen = game.observe(states)[:, 0]
    if seen.shape[1:] != (1, 1) or not game.classes:
        raise UsageError(f"{type(game).__name__} does not show the agent its state as one class: choose an algorithm")
    chosen = np.zeros(game.classes, np.int64)
    chosen[seen[:, 0, 0]] = actions[states.t, np.arange(len(seen))]  # a state tells its step
    return TablePolicy(chosen)

"""`dqn`: deep Q-learning of the agents, with RLlib's loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ...contracts.loop import AgentView
from ...core.config import configuration
from ...core.random import Stream
from ..features import rows as rows_of
from ..replay import ReplayedRole
from ..returns import n_step
from ..role import Task
from ..settings import ActionValues, Count
from ..trained import Col, Columns, Context, Net, Rollout, flat
from .networked import NetworkedAgents

if TYPE_CHECKING:
    from ..networks import NetworkShape


@configuration
class DQN(ReplayedRole, ActionValues, NetworkedAgents):
    """Deep Q-learning: by default double, dueling, with averaged targets and one policy for all agents."""

    n_step: Count = 4
    """Steps of reward before a target bootstraps."""

    kind: ClassVar[str] = "q"
    traceable: ClassVar[bool] = True
    rllib_loss: ClassVar[str] = "dqn"

    def shape(self, task: Task) -> NetworkShape:
        return {**super().shape(task), "dueling": self.dueling}

    def training(self, task: Task) -> dict[str, object]:
        return {**super().training(task), "double_q": self.double}

    def act(self, net: Net, context: Context, players: tuple[int, ...]) -> Columns:
        greedy = net(context.rows(players)).argmax(dim=-1)
        return {Col.ACTIONS: self.explore(greedy, context, context.noise(players)).numpy()}

    def transitions(self, task: Task, rollout: Rollout) -> Columns:
        """Joint rows (T * B, N, ...) of a rollout, each with its n-step return and the state that follows it."""
        returns = n_step(rollout.earned, rollout.terminated, rollout.ended, self.n_step, self.discount)
        B = np.arange(rollout.ended.shape[1])
        columns = {
            "observations": rollout.observations, "terms": rollout.terms, "actions": rollout.actions,
            "rewards": returns.total.astype(np.float32), "terminated": returns.terminated,
            "steps": returns.steps.astype(np.float32),
            "next_observations": rollout.next_observations[returns.last, B],
            "next_terms": rollout.next_terms[returns.last, B],
        }  # fmt: skip
        return flat(rollout, columns)

    def replayed(self, task: Task, rows: Columns, rng: Stream) -> Mapping[str, Columns]:
        n, N = rows["actions"].shape
        columns = {
            Col.OBS: rows_of(AgentView(rows["observations"], rows["terms"])),
            Col.NEXT_OBS: rows_of(AgentView(rows["next_observations"], rows["next_terms"])),
            Col.ACTIONS: rows["actions"].astype(np.int64),
            Col.REWARDS: rows["rewards"],
            Col.TERMINATEDS: np.repeat(rows["terminated"][:, None], N, axis=1),
            "weights": np.ones((n, N), np.float32),
            "n_step": np.repeat(rows["steps"][:, None], N, axis=1),
        }
        return self.each_module(task, columns)

"""What is kept of learned incentives: the givers' networks, and the agents beside which they learned."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch

from ...contracts.loop import AgentView
from ...contracts.mechanism import Decisions
from ...core.checkpoint import Checkpoint, Saved
from ...envs.game import Game
from ..agents.companions import Companions, arrays_of_stack, stack_of
from ..incentives import Stack


class Incentives(Saved):
    """What each agent gives each other one, by a network of its own that sees what it sees and what the others do."""

    def __init__(self, highest: float, actions: int, givers: Stack, agents: Companions) -> None:
        self.highest, self.actions, self.givers, self.agents = highest, actions, givers, agents
        self.N = len(givers[0])
        choices = np.indices((actions,) * (self.N - 1)).reshape(self.N - 1, -1).T  # (K, N - 1)
        self.choices = torch.from_numpy(np.eye(actions, dtype=np.float32)[choices].reshape(len(choices), -1))

    def __call__(self, game: Game, state: Any) -> Decisions:
        """Decisions that recommend nothing, and promise (B, N, N, K): of giver to receiver if the others do so."""
        observations = game.observe(state)
        nothing = np.zeros((*observations.shape[:2], self.agents.terms), np.float32)
        with torch.no_grad():
            return self.decide(self.agents.sight(AgentView(observations, nothing)))

    def decide(self, seen: torch.Tensor) -> Decisions:
        """The decisions where the givers see `seen` (N, B, D)."""
        first, bias, *later = self.givers
        width = seen.shape[-1]
        hidden = torch.bmm(seen, first[:, :width])[:, :, None] + (self.choices @ first[:, width:] + bias)[:, None]
        for place in range(0, len(later), 2):
            hidden = torch.relu(hidden).flatten(1, 2) if place == 0 else torch.relu(hidden)
            hidden = torch.baddbmm(later[place + 1], hidden, later[place])
        given = self.highest * torch.sigmoid(hidden).unflatten(1, (seen.shape[1], len(self.choices)))  # (N, B, K, N-1)
        whole = torch.zeros(seen.shape[1], self.N, self.N, len(self.choices))
        for i in range(self.N):
            whole[:, i, [j for j in range(self.N) if j != i]] = given[i].transpose(1, 2)
        return Decisions(np.full((seen.shape[1], self.N), -1), whole.numpy())

    def checkpoint(self) -> Checkpoint:
        about, arrays = self.agents.checkpoint()
        about = {"highest": self.highest, "actions": self.actions, "agents": about}
        return Checkpoint(about, {**arrays, **arrays_of_stack("giver", self.givers)})

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        about, arrays = checkpoint
        agents = Companions.restored(Checkpoint(about["agents"], arrays))
        return cls(about["highest"], about["actions"], stack_of("giver", arrays), agents)

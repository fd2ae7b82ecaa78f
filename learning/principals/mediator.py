"""What is kept of a mediator: a network that says what to play for each member of each coalition, and the agents."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch

from ...contracts.mechanism import Decisions
from ...core.checkpoint import Checkpoint, Saved
from ...envs.game import Game
from ..agents.companions import Companions, arrays_of_stack, stack_of
from ..incentives import Stack, outputs
from ..worlds import planes


class Mediator(Saved):
    """A network that sees the state, who delegates, and for whom it plays: what it finds likeliest."""

    def __init__(self, players: int, networks: Stack, agents: Companions) -> None:
        self.players, self.networks, self.agents = players, networks, agents
        coalition, whom = np.indices((2**players, players)).reshape(2, -1)
        shown = [np.eye(2**players)[coalition], np.eye(players)[whom]]
        self.roles = torch.from_numpy(np.concatenate(shown, axis=-1).astype(np.float32))
        self.roles = self.roles.reshape(2**players, players, -1)  # (2^N, N, 2^N + N) which coalition, and for whom

    def __call__(self, game: Game, state: Any) -> Decisions:
        """What is played: `promised` (B, N, 2^N) for agent i in coalition c; `recommended` if all delegate."""
        with torch.no_grad():
            return self.decisions(self.logits(planes(game, state)).argmax(dim=-1))

    def logits(self, world: torch.Tensor) -> torch.Tensor:
        """(B, 2^N, N, A): by coalition and agent, where the mediator sees `world` (B, D)."""
        C, N, _ = self.roles.shape
        shown = world[:, None, None].expand(-1, C, N, -1)
        rows = torch.cat([shown, self.roles.expand(len(world), -1, -1, -1)], dim=-1)
        return outputs(self.networks, rows.reshape(1, -1, rows.shape[-1]))[0].reshape(len(world), C, N, -1)

    def decisions(self, plan: torch.Tensor) -> Decisions:
        """The decisions of a plan (B, 2^N, N) of actions."""
        actions = plan.numpy()
        return Decisions(actions[:, -1], actions.swapaxes(1, 2).astype(np.float32))

    def checkpoint(self) -> Checkpoint:
        about, arrays = self.agents.checkpoint()
        return Checkpoint(
            {"players": self.players, "agents": about}, {**arrays, **arrays_of_stack("mediator", self.networks)}
        )

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        about, arrays = checkpoint
        agents = Companions.restored(Checkpoint(about["agents"], arrays))
        return cls(about["players"], stack_of("mediator", arrays), agents)

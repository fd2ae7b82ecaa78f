"""What is kept of a sender: a network that says with which chances to send which signals, and its agents."""

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


class Sender(Saved):
    """A network that sees the state and gives the chances of all signals together, `networks` with `K^N` outputs."""

    def __init__(self, networks: Stack, agents: Companions) -> None:
        self.networks, self.agents = networks, agents

    def __call__(self, game: Game, state: Any) -> Decisions:
        """The chances (B, K^N) of the signals; the mechanism draws."""
        with torch.no_grad():
            return self.decisions(self.logits(planes(game, state)))

    def logits(self, world: torch.Tensor) -> torch.Tensor:
        """(B, K^N), where the sender sees `world` (B, D)."""
        return outputs(self.networks, world[None])[0]

    def decisions(self, logits: torch.Tensor) -> Decisions:
        """The decisions of `logits` (B, K^N)."""
        chances = logits.softmax(dim=-1).numpy()
        return Decisions(np.full((len(chances), len(self.agents.policies[0])), -1), chances)

    def checkpoint(self) -> Checkpoint:
        about, arrays = self.agents.checkpoint()
        return Checkpoint({"agents": about}, {**arrays, **arrays_of_stack("sender", self.networks)})

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        about, arrays = checkpoint
        return cls(stack_of("sender", arrays), Companions.restored(Checkpoint(about["agents"], arrays)))

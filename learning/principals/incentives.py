"""What is kept of givers that learned through the learning of those who received: networks, and the agents beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch

from ...contracts.loop import AgentView, Loop
from ...contracts.mechanism import Decisions
from ...core.checkpoint import Checkpoint
from ...envs.game import Game
from ..agents.companions import Companions, arrays_of_stack, stack_of
from ..incentives import Stack, outputs, stack
from ..through_learning import Givers
from ..worlds import planes


class _Networks(Givers):
    """Networks that see something, and which of `choices` a number of agents take."""

    def __init__(self, highest: float, actions: int, choosing: int, networks: Stack, agents: Companions) -> None:
        self.highest, self.actions, self.networks, self.agents = highest, actions, networks, agents
        choices = np.indices((actions,) * choosing).reshape(choosing, -1).T  # (K, choosing), the first varying slowest
        self.choices = torch.from_numpy(np.eye(actions, dtype=np.float32)[choices].reshape(len(choices), -1))

    @classmethod
    def fresh(
        cls, highest: float, actions: int, count: int, width: int, choosing: int, told: int, hidden: Sequence[int],
        agents: Companions,
    ) -> Self:  # fmt: skip
        """`count` networks that see `width` numbers, and tell `told`."""
        return cls(highest, actions, choosing, stack(count, width + choosing * actions, hidden, told), agents)

    def everything(self, seen: torch.Tensor) -> torch.Tensor:
        """(G, B, K, told): what the networks tell where givers see `seen` (G, B, D), for each of the choices."""
        first, bias, *later = self.networks
        width = seen.shape[-1]
        hidden = torch.bmm(seen, first[:, :width])[:, :, None] + (self.choices @ first[:, width:] + bias)[:, None]
        hidden = hidden.flatten(1, 2)
        for place in range(0, len(later), 2):
            hidden = torch.baddbmm(later[place + 1], torch.relu(hidden), later[place])
        return hidden.unflatten(1, (seen.shape[1], len(self.choices)))

    def told(self, seen: torch.Tensor, done: torch.Tensor) -> torch.Tensor:
        """(G, T, B, told): the same where agents did `done` (G, T, B, choosing) of actions."""
        chosen = torch.nn.functional.one_hot(done, self.actions).float().flatten(-2)
        rows = torch.cat([seen, chosen], dim=-1)
        return outputs(self.networks, rows.flatten(1, 2)).unflatten(1, rows.shape[1:3])

    def checkpoint(self) -> Checkpoint:
        about, arrays = self.agents.checkpoint()
        about = {"highest": self.highest, "actions": self.actions, "agents": about}
        return Checkpoint(about, {**arrays, **arrays_of_stack("giver", self.networks)})


class Incentives(_Networks):
    """What each agent gives each other one, by a network of its own that sees what it sees and what the others do.

    With `charged` an agent pays what it gives.
    """

    charged = False

    @property
    def players(self) -> int:
        """The number of agents, which are the givers."""
        return len(self.networks[0])

    def __call__(self, game: Game, state: Any) -> Decisions:
        """Decisions that recommend nothing, and promise (B, N, N, K): of giver to receiver if the others do so."""
        observations = game.observe(state)
        nothing = np.zeros((*observations.shape[:2], self.agents.terms), np.float32)
        with torch.no_grad():
            return self.decide(self.agents.sight(AgentView(observations, nothing)))

    def sees(self, loop: Loop) -> torch.Tensor:
        return self.agents.sight(loop.seen)

    def decide(self, seen: torch.Tensor) -> Decisions:
        given = self.highest * torch.sigmoid(self.everything(seen))  # (N, B, K, N - 1)
        whole = torch.zeros(seen.shape[1], self.players, self.players, len(self.choices))
        for i in range(self.players):
            whole[:, i, self._others(i)] = given[i].transpose(1, 2)
        return Decisions(np.full((seen.shape[1], self.players), -1), whole.numpy())

    def given(self, seen: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        done = torch.stack([actions[self._others(i)].movedim(0, -1) for i in range(self.players)])
        amounts = self.highest * torch.sigmoid(self.told(seen, done)).movedim(-1, 1)  # (N, N - 1, T, B)
        nothing = torch.zeros_like(amounts[0, 0])
        gifts = torch.stack([torch.stack([*each[:i], nothing, *each[i:]]) for i, each in enumerate(amounts)])
        received, spent = gifts.sum(dim=0), gifts.sum(dim=1)
        return received - spent if self.charged else received, spent

    def wanted(self, rewards: torch.Tensor) -> torch.Tensor:
        return rewards

    def moves(self) -> torch.Tensor:
        return torch.ones(self.players, self.players) - torch.eye(self.players)

    def _others(self, agent: int) -> list[int]:
        return [j for j in range(self.players) if j != agent]

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        about, arrays = checkpoint
        agents, networks = Companions.restored(Checkpoint(about["agents"], arrays)), stack_of("giver", arrays)
        return cls(about["highest"], about["actions"], len(networks[0]) - 1, networks, agents)


class Planner(_Networks):
    """What a planner pays each agent, or takes from it, by a network that sees the state and what all agents do."""

    @property
    def players(self) -> int:
        """The number of agents."""
        return self.networks[-1].shape[-1]

    def __call__(self, game: Game, state: Any) -> Decisions:
        """Decisions that recommend nothing, and promise (B, N, K): of either sign, if all do so."""
        with torch.no_grad():
            return self.decide(planes(game, state)[None])

    def sees(self, loop: Loop) -> torch.Tensor:
        return planes(loop.game, loop.state)[None]

    def decide(self, seen: torch.Tensor) -> Decisions:
        paid = self.highest * torch.tanh(self.everything(seen)[0] / 2.0)  # 2 sigmoid - 1, (B, K, N)
        return Decisions(np.full((seen.shape[1], self.players), -1), paid.transpose(1, 2).contiguous().numpy())

    def given(self, seen: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        paid = self.highest * torch.tanh(self.told(seen, actions.movedim(0, -1)[None])[0] / 2.0)  # (T, B, N)
        return paid.movedim(-1, 0), (paid.square().sum(dim=-1) + TINY).sqrt()[None]

    def wanted(self, rewards: torch.Tensor) -> torch.Tensor:
        return rewards.sum(dim=0, keepdim=True)

    def moves(self) -> torch.Tensor:
        return torch.ones(1, self.players)

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        about, arrays = checkpoint
        agents, networks = Companions.restored(Checkpoint(about["agents"], arrays)), stack_of("giver", arrays)
        return cls(about["highest"], about["actions"], networks[-1].shape[-1], networks, agents)


TINY = 1e-12  # below a root, whose slope has no bound at zero

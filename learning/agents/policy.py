"""A trained policy of the agents. It acts without RLlib and is stored as tensors with a JSON file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
import torch

from ...contracts.loop import AgentView
from ...core.checkpoint import Checkpoint, Saved
from ..exploration import sampled
from ..networks import ActorCritic, NetworkShape, QNetwork, arrays_of, give_arrays, read_each
from ..settings import PlayBy

NETWORKS: dict[str, Callable[..., QNetwork | ActorCritic]] = {"q": QNetwork, "actor-critic": ActorCritic}


class Policy(Saved):
    """Every agent plays by the network of its module: greedily, or by sampling from an actor's probabilities."""

    def __init__(
        self, kind: str, players: dict[str, tuple[int, ...]], network: NetworkShape, play: PlayBy = "greedy"
    ) -> None:
        self.kind, self.players, self.network, self.play = kind, players, network, play
        self.networks = torch.nn.ModuleDict({name: NETWORKS[kind](**network) for name in players})

    def __call__(self, seen: AgentView) -> np.ndarray:
        """The agents' actions (B, N)."""
        if self.play == "greedy":
            return self._each(seen, lambda network, part: network(part).argmax(dim=-1))
        assert seen.noise is not None, "agents that draw their actions need the episode's draws"
        logits = self._each(seen, lambda network, part: network(part))
        return sampled(torch.from_numpy(logits), torch.from_numpy(seen.noise)).numpy()

    def values(self, seen: AgentView) -> np.ndarray:
        """The discounted return that each agent expects from here on, (B, N) float32: its critic's, or its best Q."""
        return self._each(seen, lambda network, part: network.values(part))

    def probabilities(self, seen: AgentView) -> np.ndarray:
        """The probabilities of each agent's actions, (B, N, A) float32; 1 for the action of one that plays greedily."""
        if self.play == "greedy":
            return np.eye(self.network["actions"], dtype=np.float32)[self(seen)]
        return self._each(seen, lambda network, part: network.probabilities(part))

    def _each(
        self, seen: AgentView, read: Callable[[QNetwork | ActorCritic, torch.Tensor], torch.Tensor]
    ) -> np.ndarray:
        return read_each(seen, {name: (self.networks[name], own) for name, own in self.players.items()}, read)

    def checkpoint(self) -> Checkpoint:
        about = {"kind": self.kind, "players": self.players, "network": self.network, "play": self.play}
        return Checkpoint(about, arrays_of(self.networks))

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        about = checkpoint.about
        players = {name: tuple(indices) for name, indices in about["players"].items()}
        policy = cls(about["kind"], players, about["network"], about.get("play", "greedy"))
        give_arrays(policy.networks, checkpoint.arrays)
        return policy

"""A trained policy of the agents: acts without RLlib, and is kept as tensors with JSON beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ..contracts.loop import Seen
from ..contracts.networks import ActorCritic, QNetwork
from .rows import rows
from .untrained import FollowPolicy, TablePolicy

NETWORKS: dict[str, type[QNetwork] | type[ActorCritic]] = {"q": QNetwork, "actor-critic": ActorCritic}


class Policy:
    """Greedy play of every agent, each by the network of the module that plays it."""

    def __init__(self, kind: str, players: dict[str, tuple[int, ...]], network: dict[str, Any]) -> None:
        self.kind, self.players, self.network = kind, players, network
        self.networks = torch.nn.ModuleDict({name: NETWORKS[kind](**network) for name in players})

    def __call__(self, seen: Seen) -> np.ndarray:
        """The agents' greedy actions (B, N)."""
        return self._each(seen, lambda network, part: network(part).argmax(dim=-1), np.int64)

    def values(self, seen: Seen) -> np.ndarray:
        """What each agent expects to earn from here on (B, N) float32, discounted: its critic's word, or its best Q."""
        if self.kind == "q":
            return self._each(seen, lambda network, part: network(part).amax(dim=-1), np.float32)
        return self._each(seen, lambda network, part: network.values(part), np.float32)

    def _each(self, seen: Seen, told: Callable[[Any, torch.Tensor], torch.Tensor], dtype: type) -> np.ndarray:
        """(B, N): what the network of each agent tells of its rows."""
        flat = rows(seen)
        found: np.ndarray = np.empty(flat.shape[:2], dtype)
        with torch.no_grad():
            for name, players in self.players.items():
                part = torch.from_numpy(flat[:, players].reshape(-1, flat.shape[-1]))
                found[:, players] = told(self.networks[name], part).numpy().reshape(len(flat), -1)
        return found

    def save(self, prefix: Path) -> None:
        """Write `prefix`.safetensors and `prefix`.json."""
        save_file(self.networks.state_dict(), prefix.with_suffix(".safetensors"))
        about = {"kind": self.kind, "players": self.players, "network": self.network}
        prefix.with_suffix(".json").write_text(json.dumps(about, indent=1))

    @classmethod
    def load(cls, prefix: Path) -> Policy:
        """The policy that `save` wrote. Nothing in its files is run."""
        about = json.loads(prefix.with_suffix(".json").read_text())
        players = {name: tuple(indices) for name, indices in about["players"].items()}
        policy = cls(about["kind"], players, about["network"])
        policy.networks.load_state_dict(load_file(prefix.with_suffix(".safetensors")))
        return policy


def load_policy(prefix: Path) -> Policy | FollowPolicy | TablePolicy:
    """The policy of whatever kind that was saved at `prefix`."""
    kind = json.loads(prefix.with_suffix(".json").read_text())["kind"]
    kinds: dict[str, Any] = {"follow": FollowPolicy, "table": TablePolicy}
    loaded: Policy | FollowPolicy | TablePolicy = kinds.get(kind, Policy).load(prefix)
    return loaded

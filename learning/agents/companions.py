"""Agents that learned beside a mechanism: a stack of policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import torch

from ...contracts.loop import AgentView
from ...core.checkpoint import Checkpoint, Saved
from ..features import rows
from ..incentives import Stack, log_chances
from ..networks import ObservationEncoder, Shape
from ..settings import PlayBy


class Sight:
    """Observations as the rows of a stack, (N, M, D): class indices and colours become planes."""

    def __init__(self, shape: Shape, terms: int) -> None:
        self.encoder = ObservationEncoder(shape, "mlp")
        self.width = self.encoder.width + terms

    def __call__(self, seen: AgentView) -> torch.Tensor:
        flat = torch.from_numpy(rows(seen).swapaxes(0, 1).copy())  # (N, B, D)
        return self.encoder(flat.flatten(0, 1)).unflatten(0, flat.shape[:2])


class Companions(Saved):
    """Agents that learned beside a mechanism, as a stack of policies."""

    def __init__(self, shape: Shape, terms: int, policies: Stack, play: PlayBy = "sampled") -> None:
        self.shape, self.terms, self.policies, self.play = Shape(*shape), terms, policies, play
        self.sight = Sight(self.shape, terms)

    def __call__(self, seen: AgentView) -> np.ndarray:
        """The agents' actions (B, N)."""
        if self.play == "greedy":
            return self.probabilities(seen).argmax(axis=-1)
        assert seen.noise is not None, "agents that draw their actions need the episode's draws"
        passed = self.probabilities(seen).cumsum(axis=-1) <= seen.noise[..., None]
        return np.minimum(passed.sum(axis=-1), passed.shape[-1] - 1)

    def probabilities(self, seen: AgentView) -> np.ndarray:
        """(B, N, A)."""
        with torch.no_grad():
            return log_chances(self.policies, self.sight(seen), 0.0).exp().transpose(0, 1).double().numpy()

    def checkpoint(self) -> Checkpoint:
        about = {"shape": self.shape, "terms": self.terms, "play": self.play}
        return Checkpoint(about, arrays_of_stack("policy", self.policies))

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        return cls(**checkpoint.about, policies=stack_of("policy", checkpoint.arrays))


def arrays_of_stack(name: str, networks: Stack) -> dict[str, np.ndarray]:
    """The weights of a stack under the `name`, as a checkpoint stores them."""
    return {f"{name}.{place}": part.detach().numpy() for place, part in enumerate(networks)}


def stack_of(name: str, arrays: Mapping[str, np.ndarray]) -> Stack:
    """The stack whose weights `arrays_of_stack` stored under the `name`."""
    count = sum(key.startswith(f"{name}.") for key in arrays)
    return [torch.from_numpy(arrays[f"{name}.{place}"]) for place in range(count)]

"""What is kept of one network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from torch import nn

from ..core.checkpoint import Checkpoint, Saved
from .networks import arrays_of, give_arrays


class SavedNetwork(Saved):
    """A class that is made by `cls(**about)`, and whose `network` is then given its weights."""

    about: Mapping[str, Any]  # the arguments of its constructor, as JSON holds them
    network: nn.Module

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.about, arrays_of(self.network))

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        saved = cls(**checkpoint.about)
        give_arrays(saved.network, checkpoint.arrays)
        return saved

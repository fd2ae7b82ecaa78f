"""The agents' observations and terms as the flat rows that every network reads."""

from __future__ import annotations

import numpy as np

from ..contracts.loop import AgentView
from ..contracts.mechanism import Mechanism
from ..envs.game import Game


def rows(seen: AgentView) -> np.ndarray:
    """Flat rows (B, N, D) float32: the observation, then the terms. A rollout adds leading axes."""
    flat = seen.observations.reshape(*seen.terms.shape[:-1], -1)
    return np.concatenate([flat, seen.terms], axis=-1, dtype=np.float32)


def width(game: Game, mechanism: Mechanism) -> int:
    """D: the length of a row."""
    return int(np.prod(game.observation_space.shape)) + mechanism.terms_size

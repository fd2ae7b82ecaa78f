"""What whoever decides sees of the world, as rows for a network."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import torch

from ..envs.game import Game
from ..envs.grid.maps import CLEAN_BEAM, FACINGS
from .networks import ObservationEncoder, Shape


def world_shape(game: Game) -> Shape:
    """The shape of a game's world. A world of two axes holds classes, four more for each agent on a map."""
    return _shape(game, game.world(game.reset(np.zeros(1, np.uint64))).shape[1:])


def world_rows(worlds: np.ndarray) -> torch.Tensor:
    """Worlds (n, ...) as flat rows (n, D) float32, classes as they are: for networks that make planes of them."""
    return torch.from_numpy(worlds.reshape(len(worlds), prod(worlds.shape[1:])).astype(np.float32))


def planes(game: Game, state: Any) -> torch.Tensor:
    """(B, D): all there is to see, as numbers, classes as planes."""
    world = game.world(state)
    found: torch.Tensor = _encoder(_shape(game, world.shape[1:]))(world_rows(world))
    return found


def width(game: Game) -> int:
    """D of `planes`."""
    return planes(game, game.reset(np.zeros(1, np.uint64))).shape[1]


@lru_cache(maxsize=8)
def _encoder(shape: Shape) -> ObservationEncoder:
    return ObservationEncoder(shape, "mlp")


def _shape(game: Game, cells: tuple[int, ...]) -> Shape:
    classes = max(game.classes, CLEAN_BEAM + 1) + FACINGS * len(game.agents)
    return Shape(tuple(cells), classes if len(cells) == 2 else 0)

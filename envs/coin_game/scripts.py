"""How scripted agents walk in the Coin Game: to the nearest coin that they want."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .kernels import STAY, Rules, move_agents


def nearest(rules: Rules, places: np.ndarray, wanted: np.ndarray, avoided: np.ndarray) -> np.ndarray:
    """(B, N) int: the first action after which an agent is nearest to a cell that it wants, and on none that it avoids.

    `places`, `wanted` and `avoided` are bool planes (B, N, G, G): its cell, of which there is one; those with coins
    that it takes; those with coins that it does not. Where nothing is wanted, it stays if it can, else walks on.
    """
    B, N, G, _ = places.shape
    destinations, steps = _ways(rules)
    ahead = destinations[places.reshape(B, N, -1).argmax(axis=2)]  # (B, N, A) cells
    far = 2 * G  # farther than any cell
    away = np.where(wanted.reshape(B, N, 1, -1), steps[ahead], far).min(axis=3)
    stopped = np.take_along_axis(avoided.reshape(B, N, -1), ahead, axis=2)
    idle = (away == far) & (np.arange(rules.actions) != STAY)  # who wants nothing stays before it walks
    return (away + idle + 2 * far * stopped).argmin(axis=2)


@lru_cache(maxsize=8)
def _ways(rules: Rules) -> tuple[np.ndarray, np.ndarray]:
    """The cell (cells, A) to which each action leads, and the steps (cells, cells) between any two cells."""
    G = rules.grid_size
    cells = np.indices((G, G)).reshape(2, -1).T.astype(np.int8)  # (cells, 2)
    moved = [move_agents(rules, cells[None], np.full((1, G * G), action))[0] for action in range(rules.actions)]
    destinations = np.stack([row * G + column for row, column in (each.astype(np.int64).T for each in moved)], axis=1)
    apart = np.abs(cells[:, None].astype(np.int64) - cells)
    if rules.torus:
        apart = np.minimum(apart, G - apart)
    return destinations, apart.sum(axis=2)

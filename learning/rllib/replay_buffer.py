"""A replay buffer over arrays, sampled uniformly or by priority (Schaul et al. 2016, proportional)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...core.random import Stream


class Replay:
    """The last `capacity` rows of named arrays.

    A row is drawn with probability proportional to its priority, `|TD error| ** exponent`; new rows get the largest
    priority yet. With exponent 0 sampling is uniform. There is no importance correction (beta = 0, Ivanov et al. 2024).
    One cumulative sum serves all the minibatches of a learner call, which is cheaper than a tree.
    """

    EPSILON = 1e-7  # keeps every row possible (Ivanov et al. 2024)

    def __init__(self, capacity: int, exponent: float, rng: Stream) -> None:
        self.capacity, self.exponent, self.rng = capacity, exponent, rng
        self.columns: dict[str, np.ndarray] = {}
        self.priorities = np.zeros(capacity)
        self.highest = 1.0
        self.size = self.next = 0

    def add(self, rows: Mapping[str, np.ndarray]) -> None:
        """Append rows (n, ...), overwriting the oldest."""
        count = len(next(iter(rows.values())))
        if not self.columns:
            self.columns = {name: np.zeros((self.capacity, *a.shape[1:]), a.dtype) for name, a in rows.items()}
        places = (self.next + np.arange(count)) % self.capacity
        for name, column in self.columns.items():
            column[places] = rows[name]
        self.priorities[places] = self.highest
        self.next = (self.next + count) % self.capacity
        self.size = min(self.size + count, self.capacity)

    def draw(self, count: int) -> np.ndarray:
        """Indices (count,) of rows."""
        if self.exponent == 0.0:
            return self.rng.integers(self.size, count)
        cumulative = np.cumsum(self.priorities[: self.size])
        drawn = np.searchsorted(cumulative, self.rng.uniform(count) * cumulative[-1], side="right")
        return np.minimum(drawn, self.size - 1)

    def rows(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        return {name: column[indices] for name, column in self.columns.items()}

    def reprioritise(self, indices: np.ndarray, errors: np.ndarray) -> None:
        """Set the priorities of rows from their TD errors, both (n,)."""
        if self.exponent:
            self.priorities[indices] = (np.abs(errors) + self.EPSILON) ** self.exponent
            self.highest = max(self.highest, float(self.priorities[indices].max()))

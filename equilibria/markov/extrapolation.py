"""MacQueen's extrapolation: the end of successive approximation in one step."""

from __future__ import annotations

import numpy as np


def extrapolate(values: np.ndarray, before: np.ndarray, discount: float) -> np.ndarray:
    """The `values` (S, ...) where they end if all states go on moving together, as they did since the step `before`.

    With a discount g near 1 that common move is most of what successive steps still do: a move by m is followed by
    moves by g m, g^2 m, ..., in all by g / (1 - g) m (MacQueen 1966, "A modified dynamic programming method for
    Markovian decision problems"). The result is the middle of MacQueen's bounds. Columns whose states do not move
    together are left as they are.
    """
    moved = values - before
    low, high = moved.min(axis=0), moved.max(axis=0)
    together = high - low <= 0.5 * np.abs(high + low)
    return values + np.where(together, discount / (1.0 - discount) * (high + low) / 2.0, 0.0)

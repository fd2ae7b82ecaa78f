"""Operations on every array of a state or a memory."""

from __future__ import annotations

from typing import TypeVar, cast

import numpy as np

T = TypeVar("T")


def where(condition: np.ndarray, new: T, old: T) -> T:
    """`new` where `condition` (B,), else `old`, for every array of two states or memories of the same type."""
    if isinstance(old, np.ndarray):
        chosen = np.where(condition.reshape(-1, *(1,) * (old.ndim - 1)), cast(np.ndarray, new), old)
        return cast(T, chosen)
    if isinstance(old, tuple):
        parts = [where(condition, n, o) for n, o in zip(cast(tuple[object, ...], new), old, strict=True)]
        return cast(T, type(old)(*parts) if hasattr(old, "_fields") else type(old)(parts))
    return old


def take(state: T, chosen: np.ndarray) -> T:
    """The environments `chosen` of a state or a memory: those rows of every array, in nested tuples too."""
    if isinstance(state, np.ndarray):
        return cast(T, state[chosen])
    if isinstance(state, tuple):
        parts = [take(part, chosen) for part in state]
        return cast(T, type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts))
    return state

"""What is done to every array of a state or a memory alike."""

from __future__ import annotations

from typing import Any

import numpy as np


def where(condition: np.ndarray, new: Any, old: Any) -> Any:
    """`new` where `condition` (B,), else `old`, for every array of two states or memories of the same type."""
    if isinstance(old, np.ndarray):
        return np.where(condition.reshape(-1, *(1,) * (old.ndim - 1)), new, old)
    if isinstance(old, tuple):
        parts = [where(condition, n, o) for n, o in zip(new, old, strict=True)]
        return type(old)(*parts) if hasattr(old, "_fields") else type(old)(parts)
    return old


def take(state: Any, chosen: np.ndarray) -> Any:
    """The environments `chosen` of a state or a memory: those rows of every array, nested tuples included."""
    if isinstance(state, np.ndarray):
        return state[chosen]
    if isinstance(state, tuple):
        parts = [take(part, chosen) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    return state

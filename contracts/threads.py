"""Solving several games at once: the solver's kernels hold no lock, so threads suffice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Found = TypeVar("Found")


def at_once(solve: Callable[[Task], Found], tasks: Iterable[Task]) -> list[Found]:
    """`solve` of each of the `tasks`, in order, as many at a time as this process may use cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pool = ThreadPoolExecutor(cores)
    try:
        return list(pool.map(solve, tasks))
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt waits for what runs, and for nothing else

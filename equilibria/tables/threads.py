"""Several games solved in parallel. The solver's kernels release Python's lock, so threads suffice."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Found = TypeVar("Found")


def at_once(solve: Callable[[Task], Found], tasks: Iterable[Task]) -> list[Found]:
    """The results of `solve` on the `tasks`, in order, computed on all cores of this process."""
    return list(as_they_come(solve, tasks))


def as_they_come(solve: Callable[[Task], Found], tasks: Iterable[Task]) -> Iterator[Found]:
    """The results of `solve` on the `tasks`, in order; a task starts when a core is free and few results wait."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pool, running = ThreadPoolExecutor(cores), deque[Future[Found]]()
    try:
        for task in tasks:
            running.append(pool.submit(solve, task))
            if len(running) > cores:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt waits for what runs, and for nothing else

"""The memory of this process: its allocator, and its search for garbage."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h


def keep_large_blocks() -> None:
    """Tell glibc not to hand large blocks back to the system; elsewhere nothing happens.

    A minibatch of classes makes planes and gradients of tens of megabytes, anew at every gradient step. By default each
    is mapped afresh and its pages are cleared one by one, which takes longer than what is computed on them.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@contextmanager
def long_lived() -> Iterator[None]:
    """What is there by now is not searched for garbage until the end: in training that takes 8% of the time.

    Nothing happens where something is left out of the search already, as within another training.
    """
    outermost = gc.get_freeze_count() == 0
    if outermost:
        gc.collect()
        gc.freeze()
    try:
        yield
    finally:
        if outermost:
            gc.unfreeze()

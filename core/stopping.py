"""SIGTERM, by which batch systems and containers end a process: it is handled as Control-C is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_came = threading.Event()


def stop_on_sigterm() -> None:
    """Raise KeyboardInterrupt in the main thread when SIGTERM comes: whatever cleans up after Control-C does so then.

    No other exception comes out of Ray's and click's waiting as it went in. Outside the main thread no handler can be
    set, and none is.
    """
    _came.clear()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)


def terminated() -> bool:
    """Whether SIGTERM came since."""
    return _came.is_set()


@contextmanager
def keeps_sigterm() -> Iterator[None]:
    """What handles SIGTERM stays, whatever is set within: Ray sets a handler that prints stacks and aborts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


def _stop(number: int, frame: object) -> None:
    _came.set()
    raise KeyboardInterrupt
